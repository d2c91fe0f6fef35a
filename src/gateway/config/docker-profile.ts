import { z } from "zod";
import { checkTable } from "./check.ts";
import { type ConfigDocument, errorAt, isTable, type KeyPath } from "./document.ts";
import { containerWords, type ForeignServer, imageSchema } from "./foreign-server.ts";

const text = z.string({ error: "a text is wanted" });
const texts = z.array(text, { error: "a list of texts is wanted" }).nullish();

/** An entry of Docker's catalogs, as far as it matters here. */
const entrySchema = z.looseObject({
  name: text,
  type: text,
  image: imageSchema.nullish(),
  command: texts,
  volumes: texts,
  env: z.array(z.looseObject({ name: text, value: text })).nullish(),
  secrets: z.array(z.looseObject({ name: text, env: text })).nullish(),
  remote: z
    .looseObject({
      url: text.nullish(),
      transport_type: text.nullish(),
      headers: z.record(z.string(), text).nullish(),
    })
    .nullish(),
  oauth: z.unknown().optional(),
  disableNetwork: z.boolean().nullish(),
  allowHosts: texts,
  extraHosts: texts,
});
type Entry = z.output<typeof entrySchema>;

/** What `docker mcp profile export` writes. */
const profileSchema = z.looseObject({
  servers: z.array(
    z.looseObject({
      image: imageSchema.nullish(),
      config: z.record(z.string(), z.unknown()).nullish(),
      tools: texts,
      snapshot: z.looseObject({ server: entrySchema }).nullish(),
    }),
  ),
});

type Config = Record<string, unknown>;
type Told = ForeignServer["told"][number][];

/** The servers of a profile of Docker's MCP Toolkit; undefined for any other file. */
export function readDockerProfile(document: ConfigDocument): ForeignServer[] | undefined {
  const root = document.value;
  if (!isTable(root) || typeof root.id !== "string" || !Array.isArray(root.servers)) return undefined;
  const { servers } = checkTable(profileSchema, root, { document, path: [] });
  return servers.map(({ image, config, tools, snapshot }, index) => {
    const path: KeyPath = ["servers", index];
    const entry = snapshot?.server;
    if (entry === undefined) throw errorAt(document, path, "it has no snapshot, which says what it is: export it anew");
    if (entry.type === "poci")
      throw errorAt(document, path, `${entry.name} is a container for each call (poci), which there is not here`);
    const told: Told = [];
    const at = ["snapshot", "server"];
    const value = entry.remote?.url
      ? remoteOf(entry, told)
      : programOf({ ...entry, image: image || entry.image }, config ?? {}, told);
    return {
      given: entry.name,
      path,
      value: { ...value, ...(tools ? { includeTools: tools } : {}) },
      places: {
        command: [...at, "image"],
        args: [...at, "command"],
        env: [...at, "env"],
        url: [...at, "remote", "url"],
        headers: [...at, "remote", "headers"],
        allowed_hosts: [...at, "allowHosts"],
        network: [...at, "disableNetwork"],
        includeTools: ["tools"],
      },
      told,
    };
  });
}

function remoteOf({ remote, oauth, secrets }: Entry, told: Told): Record<string, unknown> {
  if (isTable(oauth))
    told.push({
      key: ["snapshot", "server", "oauth"],
      message: "its login is left out: 'firebreak server login' makes one",
    });
  const isSse = remote?.transport_type === "sse";
  // `${VARIABLE}` in a header is the secret with that env.
  const headers: Record<string, string> = { ...remote?.headers };
  for (const [name, value] of Object.entries(headers))
    for (const { env } of secrets ?? []) headers[name] = value.replaceAll(`$${env}`, `$\{${env}}`);
  return { url: remote?.url, headers, ...(isSse ? { transport: "sse" } : {}) };
}

function programOf(entry: Entry, config: Config, told: Told): Record<string, unknown> {
  const fill = (given: readonly string[] | null | undefined, key: string) =>
    (given ?? []).flatMap((each) => {
      const filled = fillTemplate(each, { name: entry.name, config });
      if (filled === undefined)
        told.push({
          key: ["snapshot", "server", key],
          message: `'${each}' is left out: the profile's config has no value for it`,
        });
      return filled ?? [];
    });
  const env: Record<string, string> = {};
  for (const { name, value } of entry.env ?? []) for (const filled of fill([value], "env")) env[name] = filled;
  for (const { env: name } of entry.secrets ?? []) env[name] = `$\{${name}}`;
  for (const host of entry.extraHosts ?? [])
    told.push({
      key: ["snapshot", "server", "extraHosts"],
      message: `'${host}' is left out: host_addresses gives names addresses`,
    });
  return {
    ...containerWords({
      image: entry.image ?? "",
      // The gateway mounts read-only what does not say otherwise.
      paths: fill(entry.volumes, "volumes").map((path) => (/:r[ow]$/.test(path) ? path : `${path}:ro`)),
      args: fill(entry.command, "command"),
    }),
    env,
    ...(entry.disableNetwork === true
      ? { network: "none" }
      : entry.allowHosts?.length
        ? { allowed_hosts: entry.allowHosts }
        : {}),
  };
}

/** Of these alone everybody knows how they are written. */
const isPlain = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);

/** `{{server.key}}`, and lists: `{{server.paths|volume|into}}`. Undefined where the config has nothing for it. */
function fillTemplate(given: string, { name, config }: { name: string; config: Config }): string[] | undefined {
  const [, whole, filters = ""] = /^\{\{\s*([\w.-]+)((?:\|[\w-]+)+)\}\}$/.exec(given) ?? [];
  if (whole !== undefined) {
    const value = configAt(whole, { name, config });
    const isList = Array.isArray(value) && value.every((entry) => isPlain(entry));
    const list = isList ? value.map(String) : undefined;
    if (list === undefined || !/^(?:\|volume|\|volume-target)?\|into$/.test(filters)) return undefined;
    return filters.startsWith("|volume|")
      ? list.map((entry) => (entry.includes(":") ? entry : `${entry}:${entry}`))
      : list;
  }
  let isWhole = true;
  const filled = given.replaceAll(/\{\{([^{}|]+)(\|[^{}]*)?\}\}/g, (_, key: string, filter?: string) => {
    const value = configAt(key.trim(), { name, config });
    if (filter === undefined && value !== "" && isPlain(value)) return String(value);
    isWhole = false;
    return "";
  });
  return isWhole ? [filled] : undefined;
}

/** Keys begin with the server's name. */
function configAt(key: string, { name, config }: { name: string; config: Config }): unknown {
  if (!key.startsWith(`${name}.`)) return undefined;
  return key
    .slice(name.length + 1)
    .split(".")
    .reduce<unknown>((value, part) => (isTable(value) && Object.hasOwn(value, part) ? value[part] : undefined), config);
}
