import { z } from "zod";
import { checkTable } from "./check.ts";
import { type ConfigDocument, isTable } from "./document.ts";
import { containerWords, type ForeignServer, imageSchema } from "./foreign-server.ts";

const text = z.string({ error: "a text is wanted" });
const texts = z.array(text, { error: "a list of texts is wanted" }).nullish();
const table = z.record(z.string(), text, { error: "a table of texts is wanted" }).nullish();

/** What `thv export` writes, as far as it matters here. */
const runConfigSchema = z.looseObject({
  name: text,
  image: imageSchema.nullish(),
  remote_url: text.nullish(),
  transport: text.nullish(),
  cmd_args: texts,
  env_vars: table,
  volumes: texts,
  /** `NAME,target=VARIABLE` */
  secrets: texts,
  permission_profile: z
    .looseObject({
      read: texts,
      write: texts,
      privileged: z.boolean().nullish(),
      network: z
        .looseObject({
          outbound: z
            .looseObject({
              insecure_allow_all: z.boolean().nullish(),
              allow_host: texts,
              allow_port: z.array(z.number()).nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
  tools_filter: texts,
  tools_override: z.record(z.string(), z.looseObject({ name: text.nullish(), description: text.nullish() })).nullish(),
  header_forward: z.looseObject({ add_plaintext_headers: table, add_headers_from_secret: table }).nullish(),
  remote_auth_config: z.unknown().optional(),
});
type RunConfig = z.output<typeof runConfigSchema>;

/** ToolHive gives them to containers for its own sake. */
const OF_TOOLHIVE = new Set(["MCP_TRANSPORT", "MCP_PORT"]);

/** The server of an exported run configuration of ToolHive's; undefined for any other file. */
export function readToolHive(document: ConfigDocument): ForeignServer[] | undefined {
  const root = document.value;
  if (!isTable(root) || typeof root.schema_version !== "string") return undefined;
  if (!Object.hasOwn(root, "image") && !Object.hasOwn(root, "remote_url")) return undefined;
  const config = checkTable(runConfigSchema, root, { document, path: [] });
  const told: ForeignServer["told"][number][] = [];
  const value = config.remote_url ? remoteOf(config, told) : programOf(config, told);
  const tools = toolsOf(config, told);
  const outbound = ["permission_profile", "network", "outbound"];
  return [
    {
      given: config.name,
      path: [],
      value: { ...value, ...(tools === undefined ? {} : { tools }) },
      places: {
        command: ["image"],
        args: ["cmd_args"],
        env: ["env_vars"],
        url: ["remote_url"],
        headers: ["header_forward"],
        allowed_hosts: [...outbound, "allow_host"],
        network: [...outbound, "insecure_allow_all"],
        tools: ["tools_filter"],
      },
      told,
    },
  ];
}

function remoteOf(
  { remote_url, header_forward, remote_auth_config, transport }: RunConfig,
  told: ForeignServer["told"][number][],
): Record<string, unknown> {
  const headers: Record<string, string> = { ...header_forward?.add_plaintext_headers };
  for (const [name, secret] of Object.entries(header_forward?.add_headers_from_secret ?? {}))
    headers[name] = variableOf(secret);
  if (isTable(remote_auth_config))
    told.push({
      key: ["remote_auth_config"],
      message: "its login is left out: 'firebreak server login' makes one, and oauth says what it needs for that",
    });
  return { url: remote_url, headers, ...(transport === "sse" ? { transport } : {}) };
}

function programOf(config: RunConfig, told: ForeignServer["told"][number][]): Record<string, unknown> {
  const { image, transport, cmd_args, env_vars, volumes, secrets, permission_profile: profile } = config;
  if (transport && transport !== "stdio")
    told.push({
      key: ["transport"],
      message: `it speaks ${transport} in its container, and firebreak starts servers over stdio: give it the arguments with which it does that`,
    });
  if (image?.startsWith("toolhivelocal/"))
    told.push({
      key: ["image"],
      message:
        'ToolHive built this image of a package, and no registry has it: put command = ["npx", "PACKAGE"] or ["uvx", "PACKAGE"] in its place',
    });
  if (profile?.privileged === true)
    told.push({ key: ["permission_profile", "privileged"], message: "it is left out: the VM is its own" });
  const env: Record<string, string> = {};
  for (const [name, text] of Object.entries(env_vars ?? {})) if (!OF_TOOLHIVE.has(name)) env[name] = text;
  for (const secret of secrets ?? []) {
    const [name = "", target = name] = secret.split(",target=");
    env[target] = variableOf(target);
  }
  const paths = [
    ...(profile?.read ?? []).map((entry) => `${withInside(entry)}:ro`),
    ...(profile?.write ?? []).map(withInside),
    ...(volumes ?? []),
  ];
  // With --volume, ToolHive puts the path into the profile, too.
  const once = paths.filter(
    (entry, index) => paths.findIndex((other) => insideOf(other) === insideOf(entry)) === index,
  );
  return {
    ...containerWords({ image: image ?? "", paths: once, args: cmd_args ?? [] }),
    env,
    ...networkOf(profile, told),
  };
}

function networkOf(
  profile: RunConfig["permission_profile"],
  told: ForeignServer["told"][number][],
): Record<string, unknown> {
  const { insecure_allow_all, allow_host, allow_port } = profile?.network?.outbound ?? {};
  if (insecure_allow_all === true) return { network: "public" };
  const ports = allow_port?.length ? `:${allow_port.join(",")}` : "";
  const hosts = (allow_host ?? []).flatMap((host) => {
    if (host === "localhost" || host === "host.docker.internal") {
      const key = ["permission_profile", "network", "outbound", "allow_host"];
      told.push({ key, message: `${host} is left out: give this host a name with host_addresses, and allow that` });
      return [];
    }
    // The name itself and all below it.
    return host.startsWith(".") ? [`${host.slice(1)}${ports}`, `*${host}${ports}`] : [`${host}${ports}`];
  });
  return hosts.length === 0 ? {} : { allowed_hosts: hosts };
}

function toolsOf(
  { tools_filter, tools_override }: RunConfig,
  told: ForeignServer["told"][number][],
): Record<string, unknown> | undefined {
  const rename: Record<string, string> = {};
  for (const [tool, { name, description }] of Object.entries(tools_override ?? {})) {
    if (name) rename[tool] = name;
    if (description)
      told.push({ key: ["tools_override", tool, "description"], message: "it is left out: the server's own is shown" });
  }
  const hasNames = Object.keys(rename).length > 0;
  if (!tools_filter?.length && !hasNames) return undefined;
  return { ...(tools_filter?.length ? { allow: tools_filter } : {}), ...(hasNames ? { rename } : {}) };
}

/** What a client's file says where a value is elsewhere: it becomes a secret of the vault. */
function variableOf(name: string): string {
  return `$\{${name.toUpperCase().replaceAll(/\W/g, "_")}}`;
}

/** Without a mode, which the list that it stands in says. */
function withInside(entry: string): string {
  const [host = "", inside = host] = entry.split(":");
  return `${host}:${inside}`;
}

function insideOf(entry: string): string {
  return entry.replace(/:r[ow]$/, "").replace(/^.*:/, "");
}
