import { z } from "zod";
import { pricesSchema } from "../../contract/host.ts";
import { EGRESS_MODES, MAX_RULES, ruleSchema } from "../../contract/policy.ts";
import { readDurationMs, readMib, TIME_WANTED } from "../../contract/quantities.ts";
import { SECRET_EXPOSURES, secretGrantSchema, secretNameSchema } from "../../contract/secret.ts";
import { OAUTH_GRANTS, SERVER_TRANSPORTS, serverToolsSchema } from "../../contract/server.ts";
import { DRIVER_REQUESTS, envSchema, labelsSchema } from "../../contract/vm.ts";

/** firebreak.toml: its tables and their keys, as they are written. What the values come to is in build.ts. */

const text = z.string({ error: "a text is wanted" }).min(1, "it is empty");
const list = (what: string) => z.array(text, { error: `a list of ${what} is wanted` });
const flag = z.boolean({ error: "true or false is wanted" });
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `it is one of ${values.join(", ")}` });
const size = z.union([z.string(), z.number()], { error: "a size is wanted, such as 512 (MiB), 512M or 2G" });
const time = z.union([z.string(), z.number()], { error: "a time is wanted, such as 30 (seconds), 500ms or 5m" });
const count = z.number({ error: "a whole number is wanted" }).int("a whole number is wanted");

export const ACCESSES = ["ro", "rw"] as const;
export const MOUNT_MODES = ["live", "copy"] as const;

const pathTable = z.strictObject({
  path: text,
  at: text.optional(),
  access: oneOf(ACCESSES).optional(),
  mode: oneOf(MOUNT_MODES).optional(),
});
const secretTable = secretGrantSchema.extend({ expose: oneOf(SECRET_EXPOSURES).optional() });
const rules = z.array(ruleSchema, { error: "a list of hosts is wanted" }).max(MAX_RULES, `at most ${MAX_RULES} rules`);
const variable = z.union([z.string(), z.boolean().transform(String), z.number().int().transform(String)], {
  error: "a text is wanted",
});

const limitsTable = z.strictObject({
  calls_per_minute: count.optional(),
  concurrent_calls: count.optional(),
  /** Bytes, or `64K`, `1M`. */
  result_size: z.union([count, z.string()], { error: "a size is wanted, such as 65536 (bytes), 64K or 1M" }).optional(),
  call_timeout: time.optional(),
});

/** What servers, profiles and defaults may all say of a server. */
const shared = {
  image: text.optional(),
  allowed_paths: z
    .array(z.union([text, pathTable], { error: "a path is wanted" }), { error: "a list of paths is wanted" })
    .optional(),
  mount_mode: oneOf(MOUNT_MODES).optional(),
  /** A directory of this host that is copied to WORKSPACE_AT, and back. */
  workspace: text.optional(),
  allowed_hosts: rules.optional(),
  denied_hosts: rules.optional(),
  /** Addresses of names, in the place of what this host's resolver says. */
  host_addresses: z.record(z.string(), z.union([z.ipv4(), z.ipv6()], { error: "an IP address is wanted" })).optional(),
  /** The names of allowed_hosts may lead into private networks, and to this host. */
  private_hosts: flag.optional(),
  network: oneOf(EGRESS_MODES).optional(),
  secrets: z
    .array(z.union([secretNameSchema, secretTable], { error: "the name of a secret is wanted" }), {
      error: "a list of secrets is wanted",
    })
    .optional(),
  env: z.record(envSchema.keyType, variable, { error: "a table of variables is wanted" }).optional(),
  memory: size.optional(),
  cpus: count.optional(),
  disk: size.optional(),
  idle_timeout: time.optional(),
  resident: flag.optional(),
  isolation: oneOf(["shared", "session"]).optional(),
  session_timeout: time.optional(),
  tools: serverToolsSchema.optional(),
  limits: limitsTable.optional(),
  enabled: flag.optional(),
  labels: labelsSchema.optional(),
};

const oauthTable = z.strictObject({
  grant: oneOf(OAUTH_GRANTS).optional(),
  client_id: text.optional(),
  client_secret: text.optional(),
  scopes: list("scopes").optional(),
  issuer: text.optional(),
});

const program = {
  command: z
    .union([text, z.array(text).min(1, "it is empty")], {
      error: "a program, or a list of it and its arguments, is wanted",
    })
    .optional(),
  args: z.array(z.string(), { error: "a list of arguments is wanted" }).optional(),
  cwd: text.optional(),
  url: text.optional(),
  transport: oneOf(SERVER_TRANSPORTS).optional(),
  headers: z.record(z.string(), z.string(), { error: "a table of headers is wanted" }).optional(),
  oauth: oauthTable.optional(),
};

const names = z.union([text, list("profiles")], { error: "a profile, or a list of profiles, is wanted" });

/** The most that a server of a profile may be given. */
const boundsTable = z.strictObject({
  access: oneOf(["none", "ro", "rw"]).optional(),
  network: z.array(oneOf(EGRESS_MODES), { error: "a list of networks is wanted" }).optional(),
  ports: text.optional(),
});

export const serverTableSchema = z.strictObject({ ...shared, ...program, vm_profile: names.optional() });
export type ServerTable = z.output<typeof serverTableSchema>;

export const profileTableSchema = z.strictObject({
  ...shared,
  ...program,
  extends: names.optional(),
  description: z.string().optional(),
  only: boundsTable.optional(),
});
export type ProfileTable = z.output<typeof profileTableSchema>;

export const defaultsTableSchema = z.strictObject({ ...shared, only: boundsTable.optional() });

/** What the three have in common, for composing them. */
export type LayerTable = Partial<Omit<ServerTable & ProfileTable, "vm_profile" | "extends" | "description">>;

export const networkTableSchema = z.strictObject({
  /** Rules by the name of a set, for `--allow NAME`. */
  sets: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,62}$/), z.array(ruleSchema).max(MAX_RULES)).optional(),
  /** Files of certificates (PEM) that VMs with a way out trust besides their own: of a network that opens TLS itself. */
  trust: z.array(z.string().startsWith("/", "an absolute path")).max(16).optional(),
});

export const auditTableSchema = z.strictObject({
  /** Arguments of calls are recorded, with the values of known secrets masked. */
  arguments: z.boolean().optional(),
  /** What becomes of calls that cannot be recorded, such as on a full disk. */
  when_failing: z.enum(["continue", "refuse"]).optional(),
  /** Entries older than this are removed: `90d`. */
  keep: time
    .refine((text) => (readDurationMs(String(text)) ?? 0) >= 3_600_000, "a time of at least an hour, such as 90d")
    .optional(),
  /** Of all files of the log; the oldest are removed: `1G`. */
  max_size: size.refine((text) => (readMib(String(text)) ?? 0) >= 1, "a size of at least 1M, such as 1G").optional(),
});

export const vmsTableSchema = z.strictObject({
  /** Of VMs that say none; `auto` when absent. FIREBREAK_DRIVER comes before it. */
  driver: oneOf(DRIVER_REQUESTS).optional(),
  /** Of memory that was promised to running VMs and not taken by them yet, one part in this many is kept free for them. */
  memory_overcommit: z.number().min(1, "a number from 1 (all is kept)").max(1000).optional(),
});

const rate = z.number().int("a whole number is wanted").min(1, "1 or more").max(Number.MAX_SAFE_INTEGER);
/** What an operator decides about Firecracker; VMs and snapshots that were made with other values of the tuning are not restored with these. */
export const firecrackerTableSchema = z.strictObject({
  /** Without its jailer, as the daemon's own user, where there is no other way. */
  allow_unjailed: flag.optional(),
  /** The control group, below the hierarchy's root, that has one of each VM in it. */
  parent_cgroup: z
    .string()
    .regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/, "a relative path is wanted")
    .refine((value) => !value.split("/").some((part) => part === ".." || part === "."), "a plain path is wanted")
    .optional(),
  /** Of each of a VM's drives. */
  drive_bytes_per_second: rate.optional(),
  drive_operations_per_second: rate.optional(),
  /** Of a VM's network card, each way. */
  card_bytes_per_second: rate.optional(),
  cpu_template: oneOf(["C3", "T2", "T2S", "T2CL", "T2A", "V1N1"]).optional(),
  /** A file of JSON as PUT /cpu-config takes it. */
  cpu_config: text.optional(),
  /** Pages of 2 MiB of a pool that this host has to have. */
  huge_pages: flag.optional(),
  balloon: flag.optional(),
});

const cap = z.number().int("a whole number is wanted").min(0).max(1_000);
export const tasksTableSchema = z.strictObject({
  /** Tasks that work at once; two for each processor when absent. */
  max_running: cap.min(1).optional(),
  /** Virtual CPUs of the tasks that work at once; two for each processor, or as many as `max_running`, when absent. */
  max_cpus: cap.min(1).optional(),
  max_per_user: cap.optional(),
  /** `KEY` or `KEY=VALUE` to how many at once. */
  max_per_label: z.record(z.string().min(1).max(320), cap).optional(),
  /** US dollars that the agents of one user's tasks may cost within `budget_window`. */
  budget_per_user: z.number("a number of US dollars is wanted").min(0, "0 or more").max(10_000_000).optional(),
  /** 30 days when absent. */
  budget_window: time
    .refine((value) => (readDurationMs(String(value)) ?? 0) >= 60_000, "a time of at least a minute, such as 30d")
    .transform((value) => readDurationMs(String(value)) ?? 0)
    .optional(),
  /** How long tasks that have ended are kept, with their events and files; 30 days when absent. */
  keep: time
    .refine((value) => readDurationMs(String(value)) !== undefined, TIME_WANTED)
    .transform((value) => readDurationMs(String(value)) ?? 0)
    .optional(),
  /** Where files of tasks are kept, `s3://BUCKET/PREFIX`; on this host when absent. */
  storage: z
    .string()
    .regex(
      /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\/?$/,
      "s3://BUCKET or s3://BUCKET/PREFIX is wanted",
    )
    .optional(),
  /** Of what speaks S3's protocol elsewhere; AWS when absent. */
  storage_endpoint: z
    .url({ protocol: /^https?$/, error: "a URL is wanted, such as https://s3.example.com" })
    .optional(),
  /** us-east-1 when absent. */
  storage_region: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/, "a region is wanted, such as eu-central-1")
    .optional(),
  /** Names of secrets of the vault; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY when absent. */
  storage_keys: z
    .strictObject({ id: secretNameSchema, secret: secretNameSchema, token: secretNameSchema.optional() })
    .optional(),
});

export const telemetryTableSchema = z.strictObject({
  /** Where traces go, as OTLP over HTTP. */
  traces: z.url({ protocol: /^https?$/, error: "a URL is wanted, such as http://127.0.0.1:4318/v1/traces" }).optional(),
  /** The part of traces begun here that is recorded. */
  sample: z.number().min(0, "a number from 0 to 1").max(1, "a number from 0 to 1").optional(),
});

/** What the owner of an installation decides, in $FIREBREAK_HOME/firebreak.toml. */
export const ownerTablesSchema = z.object({
  prices: pricesSchema.optional(),
  network: networkTableSchema.optional(),
  audit: auditTableSchema.optional(),
  vms: vmsTableSchema.optional(),
  firecracker: firecrackerTableSchema.optional(),
  tasks: tasksTableSchema.optional(),
  telemetry: telemetryTableSchema.optional(),
});
export type OwnerTables = z.output<typeof ownerTablesSchema>;

/** All tables of firebreak.toml by name. Each is read when it is needed: a misspelt key of a server keeps nobody from reading the prices. */
export const TABLES = [
  "prices",
  "network",
  "audit",
  "vms",
  "firecracker",
  "tasks",
  "telemetry",
  "servers",
  "profiles",
  "defaults",
  "agents",
  "model_prices",
] as const;
