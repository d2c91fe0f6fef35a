import { readDurationMs, readMib, SIZE_WANTED, TIME_WANTED } from "../../contract/quantities.ts";
import {
  DEFAULT_SESSION_TIMEOUT_MS,
  type RemoteServer,
  remoteServerSchema,
  type ServerConfig,
  type VmServer,
  vmServerSchema,
} from "../../contract/server.ts";
import { DEFAULTS } from "../../contract/vm.ts";
import { errorAt } from "./document.ts";
import { defaultProgram } from "./known-servers.ts";
import { errorIn, type Layer, type Sourced } from "./layers.ts";
import { buildNetwork } from "./network.ts";
import { expandPath, readPath } from "./paths.ts";
import { type ServerPlan, whyBounded } from "./plan.ts";
import { secretsIn } from "./references.ts";
import type { LayerTable } from "./schema.ts";

const DEFAULT_IDLE_TIMEOUT_MS = 5 * 60_000;
/** Where a server sees its `workspace`. */
const WORKSPACE_AT = "/mcp-workspace";

/** Throws CONFIG_INVALID at the key that cannot be meant. */
export function buildServer(plan: ServerPlan): ServerConfig {
  return plan.composed.get("url") === undefined ? buildVm(plan) : buildRemote(plan);
}

/** What is said of servers in VMs, and of no other. */
const VM_KEYS = [
  "command",
  "args",
  "cwd",
  "image",
  "allowed_paths",
  "mount_mode",
  "workspace",
  "allowed_hosts",
  "denied_hosts",
  "host_addresses",
  "private_hosts",
  "network",
  "secrets",
  "env",
  "memory",
  "cpus",
  "disk",
  "idle_timeout",
  "resident",
  "isolation",
  "session_timeout",
] as const;

/** Combinations that no layer may have in itself. */
export function checkLayer(layer: Layer): void {
  checkQuantities(layer);
  const { table, kind } = layer;
  const misplaced = table.url === undefined ? undefined : VM_KEYS.find((key) => table[key] !== undefined);
  if (misplaced !== undefined && kind !== "defaults")
    throw errorIn(layer, [misplaced], "it is of servers in a VM; one with a url runs elsewhere");
  if (Array.isArray(table.command) && table.args !== undefined)
    throw errorIn(layer, ["args"], "a command that is a list has its arguments in it");
  if (typeof table.command === "string" && table.args === undefined && /\s/.test(table.command))
    throw errorIn(
      layer,
      ["command"],
      'it is a program, and has spaces in its name: write its arguments into a list, ["PROGRAM", "ARGUMENT"]',
    );
  const { network, allowed_hosts: allow = [], denied_hosts: deny = [] } = table;
  if (network === "none" && allow.length > 0)
    throw errorIn(
      layer,
      ["allowed_hosts"],
      'network = "none" allows no host; without a network, or with "allowlist", these are allowed',
    );
  if (network === "public" && allow.length > 0)
    throw errorIn(
      layer,
      ["allowed_hosts"],
      'network = "public" allows every public host; "allowlist" allows these alone',
    );
  if (network === "none" && deny.length > 0)
    throw errorIn(layer, ["denied_hosts"], 'network = "none" allows no host that could be denied');
  if (table.resident === true && table.idle_timeout !== undefined)
    throw errorIn(layer, ["idle_timeout"], "a resident server does not stop for being idle");
  if (layer.kind === "profile" && table.resident === true && table.isolation === "session")
    throw errorIn(layer, ["isolation"], "a resident server is there before any session");
}

/** Two tools of one name could not be told apart. */
function checkRenames({ composed, document, path }: ServerPlan): void {
  const names = new Set<string>();
  for (const [tool, name] of Object.entries(composed.tools.rename ?? {})) {
    if (names.has(name))
      throw errorAt(document, [...path, "tools", "rename", tool], `another tool is named '${name}' already`);
    names.add(name);
  }
}

function checkQuantities(layer: Layer): void {
  const { memory, disk, idle_timeout, session_timeout, limits = {} } = layer.table;
  const checks = [
    { value: memory, key: ["memory"], read: readMib, wanted: SIZE_WANTED },
    { value: disk, key: ["disk"], read: readMib, wanted: SIZE_WANTED },
    { value: idle_timeout, key: ["idle_timeout"], read: readDurationMs, wanted: TIME_WANTED },
    { value: session_timeout, key: ["session_timeout"], read: readDurationMs, wanted: TIME_WANTED },
    { value: limits.call_timeout, key: ["limits", "call_timeout"], read: readDurationMs, wanted: TIME_WANTED },
    { value: limits.result_size, key: ["limits", "result_size"], read: readBytes, wanted: BYTES_WANTED },
  ];
  for (const { value, key, read, wanted } of checks)
    if (value !== undefined && read(String(value)) === undefined)
      throw errorIn(layer, key, `'${value}' is not ${wanted}`);
}

function commonOf(plan: ServerPlan) {
  const { name, composed } = plan;
  checkRenames(plan);
  const { calls_per_minute, concurrent_calls, result_size, call_timeout } = composed.limits;
  return {
    name,
    enabled: composed.get("enabled")?.value ?? true,
    tools: composed.tools,
    labels: composed.labels,
    limits: {
      ...(calls_per_minute === undefined ? {} : { callsPerMinute: calls_per_minute }),
      ...(concurrent_calls === undefined ? {} : { concurrentCalls: concurrent_calls }),
      ...(result_size === undefined ? {} : { resultBytes: readBytes(String(result_size)) }),
      ...(call_timeout === undefined ? {} : { callTimeoutMs: readDurationMs(String(call_timeout)) }),
    },
  };
}

const BYTES_WANTED = "a size such as 65536 (bytes), 64K or 1M";

/** `65536`, `64K`, `1M`: bytes. */
function readBytes(value: string): number | undefined {
  const kib = /^(\d+)\s*k(?:i?b)?$/i.exec(value.trim());
  if (kib !== null) return Number(kib[1]) * 1024;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  const mib = readMib(value);
  return mib === undefined ? undefined : mib * 1024 * 1024;
}

function buildRemote(plan: ServerPlan): RemoteServer {
  const { composed, document, path: at } = plan;
  const url = composed.get("url") as Sourced<string>;
  if (composed.command !== undefined)
    throw errorIn(composed.command.layer, ["command"], "a server has a command or a url, and this one has both");
  if (plan.profile.length > 0 && url.layer.kind === "server")
    throw errorAt(document, [...at, "vm_profile"], "it is of servers in a VM; one with a url runs elsewhere");
  const transport = composed.get("transport")?.value;
  const oauth = composed.get("oauth");
  const own = composed.headers.find(({ key }) => String(key[1]).toLowerCase() === "authorization");
  if (oauth !== undefined && own !== undefined)
    throw errorIn(own.layer, own.key, "its calls are authorized by this header, or by oauth: leave one of them out");
  return check(plan, remoteServerSchema, {
    kind: "remote",
    ...commonOf(plan),
    url: url.value,
    ...(transport === undefined ? {} : { transport }),
    headers: Object.fromEntries(composed.headers.map(({ key, value }) => [String(key[1]), value])),
    ...(oauth === undefined ? {} : { oauth: oauthOf(oauth.value) }),
  });
}

function oauthOf({ grant, client_id, client_secret, scopes, issuer }: NonNullable<LayerTable["oauth"]>) {
  return {
    ...(grant === undefined ? {} : { grant }),
    ...(client_id === undefined ? {} : { clientId: client_id }),
    ...(client_secret === undefined ? {} : { clientSecret: client_secret }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(issuer === undefined ? {} : { issuer }),
  };
}

function buildVm(plan: ServerPlan): VmServer {
  const { composed, context, document, path: at } = plan;
  for (const key of ["headers", "transport", "oauth"] as const) {
    const found = key === "headers" ? composed.headers[0] : composed.get(key);
    if (found !== undefined) throw errorIn(found.layer, [key], "it is of servers that have a url");
  }
  const mounts = buildMounts(plan);
  const secrets = buildSecrets(plan);
  const program = buildProgram(plan, { mounts, secrets });
  const env = { ...program.env, ...Object.fromEntries(composed.env.map(({ key, value }) => [String(key[1]), value])) };
  checkReferences(plan, secrets);
  const [resident, isolation] = [composed.get("resident"), composed.get("isolation")];
  if (resident?.value === true && isolation?.value === "session")
    throw errorAt(document, [...at, "isolation"], "a resident server is there before any session: it is shared");
  const sessionTimeout = composed.get("session_timeout");
  if (sessionTimeout?.layer.kind === "server" && isolation?.value !== "session")
    throw errorIn(sessionTimeout.layer, ["session_timeout"], 'it is of servers with isolation = "session"');
  const cwd = composed.get("cwd");
  const image = composed.get("image")?.value;
  const folder = cwd === undefined ? undefined : expandPath(cwd.value, context);
  if (cwd !== undefined && typeof folder === "object") throw errorIn(cwd.layer, ["cwd"], folder.why);
  return check(plan, vmServerSchema, {
    kind: "vm",
    ...commonOf(plan),
    command: program.command,
    args: program.args,
    ...(folder === undefined ? {} : { cwd: folder }),
    ...(image === undefined ? {} : { image }),
    env,
    mounts,
    network: buildNetwork(plan),
    secrets,
    memoryMib: readMib(String(composed.get("memory")?.value)) ?? DEFAULTS.memoryMib,
    cpus: composed.get("cpus")?.value ?? DEFAULTS.cpus,
    diskMib: readMib(String(composed.get("disk")?.value)) ?? DEFAULTS.diskMib,
    idleTimeoutMs: readDurationMs(String(composed.get("idle_timeout")?.value)) ?? DEFAULT_IDLE_TIMEOUT_MS,
    resident: resident?.value ?? false,
    isolation: isolation?.value ?? "shared",
    sessionTimeoutMs: readDurationMs(String(sessionTimeout?.value)) ?? DEFAULT_SESSION_TIMEOUT_MS,
    profile: plan.profile,
  });
}

function buildProgram(
  { name, composed, document, path: at }: ServerPlan,
  { mounts, secrets }: Pick<VmServer, "mounts" | "secrets">,
): { command: string[]; args: string[]; env?: Record<string, string> } {
  if (composed.command !== undefined) return { command: composed.command.value, args: [] };
  if (composed.get("image") !== undefined) return { command: [], args: composed.args?.value ?? [] };
  if (composed.args !== undefined)
    throw errorIn(composed.args.layer, ["args"], "there is no command and no image that they could be for");
  const known = defaultProgram(name, {
    paths: mounts.map((mount) => mount.at),
    secrets: secrets.map((secret) => secret.name),
  });
  if (known === undefined)
    throw errorAt(document, at, "nobody has said what it is: there is no command, no image and no url");
  if ("missing" in known) throw errorAt(document, [...at, known.missing], `${known.why}, and there is no command`);
  return { args: [], ...known };
}

function buildMounts(plan: ServerPlan): VmServer["mounts"] {
  const { composed, bounds, profile, context } = plan;
  const mode = composed.get("mount_mode")?.value ?? "live";
  const mounts = new Map<string, VmServer["mounts"][number]>();
  const own = new Map<string, Layer>();
  for (const { value, layer, key } of composed.paths) {
    const mount = readPath(value, context);
    if ("why" in mount) throw errorIn(layer, key, mount.why);
    const isTooMuch = bounds.access === "none" || (bounds.access === "ro" && mount.access === "rw");
    // What is meant for all yields to what a profile says of some.
    if (isTooMuch && layer.kind === "defaults") continue;
    if (isTooMuch)
      throw errorIn(
        layer,
        key,
        whyBounded(profile, bounds.access === "none" ? "no path of this host" : "no path to write to"),
      );
    if (own.get(mount.at) === layer) throw errorIn(layer, key, `another path is seen at ${mount.at} already`);
    own.set(mount.at, layer);
    mounts.set(mount.at, { ...mount, mode: mount.mode ?? mode });
  }
  const workspace = readWorkspace(plan);
  if (workspace !== undefined) {
    const { layer, key } = workspace;
    if (own.has(WORKSPACE_AT)) throw errorIn(layer, key, `another path is seen at ${WORKSPACE_AT} already`);
    own.set(WORKSPACE_AT, layer);
    mounts.set(WORKSPACE_AT, workspace.value);
  }
  checkCopies([...mounts.values()], own);
  return [...mounts.values()];
}

function readWorkspace({
  composed,
  bounds,
  profile,
  context,
}: ServerPlan): Sourced<VmServer["mounts"][number]> | undefined {
  const workspace = composed.get("workspace");
  if (workspace === undefined) return undefined;
  const { layer, key } = workspace;
  if (bounds.access === "none") {
    if (layer.kind === "defaults") return undefined;
    throw errorIn(layer, key, whyBounded(profile, "no path of this host"));
  }
  const found = expandPath(workspace.value, context);
  if (typeof found !== "string") throw errorIn(layer, key, found.why);
  // Who may only read has a copy of which nothing comes back.
  const access = bounds.access === "ro" ? "ro" : "rw";
  return { layer, key, value: { path: found, at: WORKSPACE_AT, access, mode: "copy" } };
}

/** What is seen within a copy would come back with it; and what is copied into something live would be changed there at once. */
function checkCopies(mounts: VmServer["mounts"], own: ReadonlyMap<string, Layer>): void {
  for (const inner of mounts)
    for (const outer of mounts) {
      const isCopied = inner.mode === "copy" || outer.mode === "copy";
      if (!isCopied || inner === outer || !`${inner.at}/`.startsWith(outer.at === "/" ? "/" : `${outer.at}/`)) continue;
      throw errorIn(
        own.get(inner.at) as Layer,
        ["allowed_paths"],
        `${inner.at} lies within ${outer.at}, and one of them is a copy: say where else it is to be seen`,
      );
    }
}

function buildSecrets({ composed }: ServerPlan): VmServer["secrets"] {
  const secrets = new Map<string, VmServer["secrets"][number]>();
  const own = new Map<string, Layer>();
  for (const { value, layer, key } of composed.secrets) {
    const { name, hosts, expose } =
      typeof value === "string" ? { name: value, hosts: undefined, expose: undefined } : value;
    if (own.get(name) === layer) throw errorIn(layer, key, `the secret ${name} is there twice`);
    own.set(name, layer);
    secrets.set(name, { name, ...(hosts === undefined ? {} : { hosts }), ...(expose === undefined ? {} : { expose }) });
  }
  return [...secrets.values()];
}

/** `${secret:NAME}` of a secret that the server does not have would go out as it is. */
function checkReferences({ composed }: ServerPlan, secrets: VmServer["secrets"]): void {
  const texts = [
    ...composed.env,
    ...[composed.command, composed.args].flatMap((found) =>
      found === undefined ? [] : found.value.map((value) => ({ value, layer: found.layer, key: found.key })),
    ),
  ];
  for (const { value, layer, key } of texts) {
    const missing = secretsIn(value).find((name) => !secrets.some((secret) => secret.name === name));
    if (missing !== undefined)
      throw errorIn(layer, key, `it needs the secret ${missing}, which is not among its secrets`);
  }
  for (const { layer, key } of composed.env)
    if (secrets.some(({ name }) => name === key[1]))
      throw errorIn(layer, key, `the secret ${key[1]} is the variable of that name already`);
}

/** Keys of the file by the fields that they become. */
const KEYS: Record<string, string> = {
  memoryMib: "memory",
  clientId: "client_id",
  clientSecret: "client_secret",
  diskMib: "disk",
  idleTimeoutMs: "idle_timeout",
  sessionTimeoutMs: "session_timeout",
  mounts: "allowed_paths",
  callsPerMinute: "calls_per_minute",
  concurrentCalls: "concurrent_calls",
  resultBytes: "result_size",
  callTimeoutMs: "call_timeout",
};

/** The schema has the last word. What it refuses is told at the layer that has the key last. */
function check<T extends typeof vmServerSchema | typeof remoteServerSchema>(
  plan: ServerPlan,
  schema: T,
  value: unknown,
): ReturnType<T["parse"]> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as ReturnType<T["parse"]>;
  const [issue] = parsed.error.issues;
  const key = (issue?.path ?? []).map((part) => KEYS[String(part)] ?? (typeof part === "number" ? part : String(part)));
  const why = issue?.message ?? "it cannot be meant";
  const layer = plan.composed.layerOf(String(key[0]));
  throw layer === undefined ? errorAt(plan.document, [...plan.path, ...key], why) : errorIn(layer, key, why);
}
