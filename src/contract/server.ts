import { z } from "zod";
import { MAX_MOUNTS_PER_VM } from "./mount.ts";
import { egressPolicySchema } from "./policy.ts";
import { DEFINITION_KINDS, findingSchema } from "./scan.ts";
import { SECRET_EXPOSURES, secretGrantSchema } from "./secret.ts";
import { envSchema, labelsSchema, MAX_CPUS, MAX_DISK_MIB, MAX_MEMORY_MIB, MIN_DISK_MIB, MIN_MEMORY_MIB } from "./vm.ts";

/** MCP servers, each in a VM of its own: what a configuration file comes to, and what the API tells of them. */

/**
 * Tools are named `server__tool` at the endpoint of all servers, and clients put their own name before that: 24 leaves room for the tool's
 * (docs/gateway.md). No `_`, so that the first `__` ends the server's name.
 */
export const SERVER_NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$/;
export const serverNameSchema = z
  .string()
  .regex(SERVER_NAME_PATTERN, "a server's name is made of a-z, 0-9 and '-', at most 24 characters");

export const MAX_SERVERS = 256;

/** A host path that a server sees, at the same path in its VM unless `at` says otherwise. */
export const serverMountSchema = z.strictObject({
  path: z.string().startsWith("/", "an absolute path").max(4_096).describe("a file or directory of the host"),
  at: z.string().startsWith("/", "an absolute path").max(4_096).describe("where the server sees it"),
  access: z.enum(["ro", "rw"]),
  /** `live`: each access is the host's. `copy`: copied in at the start, and back at the stop with a backup. */
  mode: z.enum(["live", "copy"]).default("live"),
});
export type ServerMount = z.infer<typeof serverMountSchema>;

/** A secret that a server may use. Its name is that of a variable in the server's VM, and what `${secret:NAME}` stands for. */
export const serverSecretSchema = secretGrantSchema.extend({
  expose: z
    .enum(SECRET_EXPOSURES)
    .optional()
    .describe("absent: as the vault has it; `env`: it starts without the value, and gets it in a fresh start"),
});
export type ServerSecret = z.infer<typeof serverSecretSchema>;

const toolName = z.string().min(1).max(128);
/** Which of its tools are offered, and under which names: `deny` before `allow`; `*` is any part of a name. */
export const serverToolsSchema = z.strictObject({
  allow: z.array(toolName).max(1_000).optional(),
  deny: z.array(toolName).max(1_000).optional(),
  rename: z.record(toolName, z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)).optional(),
});
export type ServerTools = z.infer<typeof serverToolsSchema>;

/** Each absent limit is the gateway's own. */
export const serverLimitsSchema = z.strictObject({
  callsPerMinute: z.number().int().min(1).max(1_000_000).optional(),
  concurrentCalls: z.number().int().min(1).max(10_000).optional(),
  resultBytes: z
    .number()
    .int()
    .min(1_024)
    .max(64 * 1024 * 1024)
    .optional(),
  callTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(24 * 3600 * 1000)
    .optional(),
});

const common = {
  name: serverNameSchema,
  enabled: z.boolean().default(true),
  tools: serverToolsSchema.default({}),
  limits: serverLimitsSchema.default({}),
  labels: labelsSchema.default({}),
};

/** `${secret:NAME}` in a word of the command, a value of the environment or a header is what the VM has of that secret. */
const word = z.string().refine((text) => !text.includes("\0"), "an argument cannot hold a NUL");

/** A client whose session has not been used for so long has none any more. */
export const MAX_SESSION_TIMEOUT_MS = 7 * 24 * 3600 * 1000;
/** A client that is left open overnight finds what its server has in memory. */
export const DEFAULT_SESSION_TIMEOUT_MS = 24 * 3600 * 1000;
/** Longest profile of Firejail, bytes. */
export const MAX_FIREJAIL_PROFILE = 64 * 1024;

/** A server that runs in a VM, over its standard input and output. */
export const vmServerSchema = z.strictObject({
  ...common,
  kind: z.literal("vm"),
  command: z
    .array(word)
    .max(1_024)
    .default([])
    .describe("program and arguments, as they run in the VM; empty: the image's own, with `args` behind it"),
  args: z.array(word).max(1_024).default([]).describe("what the image's own command has behind it"),
  cwd: z.string().startsWith("/", "an absolute path").max(4_096).optional().describe("in the VM"),
  image: z.string().min(1).max(200).optional().describe("without one the command is installed: npx, uvx, pip …"),
  env: envSchema.default({}),
  mounts: z.array(serverMountSchema).max(MAX_MOUNTS_PER_VM).default([]),
  network: egressPolicySchema,
  secrets: z.array(serverSecretSchema).max(64, "at most 64 secrets").default([]),
  memoryMib: z.number().int().min(MIN_MEMORY_MIB).max(MAX_MEMORY_MIB),
  cpus: z.number().int().min(1).max(MAX_CPUS),
  diskMib: z.number().int().min(MIN_DISK_MIB).max(MAX_DISK_MIB),
  idleTimeoutMs: z.number().int().min(1_000).describe("its VM stops when nobody has called it for this long"),
  resident: z.boolean().default(false).describe("it is started with the daemon, and does not stop for being idle"),
  /** `shared`: one VM for all clients. `session`: one for each session of a client. */
  isolation: z.enum(["shared", "session"]).default("shared"),
  sessionTimeoutMs: z
    .number()
    .int()
    .min(1_000, "at least a second")
    .max(MAX_SESSION_TIMEOUT_MS, "at most 7 days: then sessions are over")
    .default(DEFAULT_SESSION_TIMEOUT_MS)
    .describe("a session's VM is deleted when its client has not called for this long"),
  firejail: z
    .string()
    .max(MAX_FIREJAIL_PROFILE)
    .optional()
    .describe("a profile of Firejail, as text: the server runs within it where its image has Firejail"),
  profile: z.array(z.string()).default([]).describe("the profiles that it was made of, in order"),
});
export type VmServer = z.infer<typeof vmServerSchema>;

export const SERVER_TRANSPORTS = ["http", "sse"] as const;

export const OAUTH_GRANTS = ["authorization_code", "client_credentials"] as const;
/** How calls of a server that runs elsewhere are authorized, where that is not found out, or is not to be. */
export const serverOauthSchema = z
  .strictObject({
    grant: z.enum(OAUTH_GRANTS).default("authorization_code").describe("client_credentials: nobody has to log in"),
    clientId: z
      .string()
      .regex(/^[\x20-\x7e]{1,2048}$/, "a client id is of printable ASCII")
      .optional()
      .describe("absent: registered at the first login; an https URL: the client ID metadata document that is there"),
    clientSecret: z
      .string()
      .regex(
        /^\$\{secret:[A-Za-z_][A-Za-z0-9_]{0,63}\}$/,
        "it is the name of a secret of the vault, in the form that headers have it",
      )
      .optional(),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, "a scope has no blanks and no quotes"))
      .max(64)
      .optional()
      .describe("absent: those that the server asks for"),
    issuer: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe("the one authorization server that is taken; it may be in a private network then"),
  })
  .refine(({ grant, clientId }) => grant !== "client_credentials" || clientId !== undefined, {
    path: ["clientId"],
    message: "client_credentials needs one",
  })
  .refine(({ clientId, clientSecret }) => clientSecret === undefined || clientId !== undefined, {
    path: ["clientId"],
    message: "a client secret goes with a client id",
  });
export type ServerOauth = z.infer<typeof serverOauthSchema>;

/** A server that is reached over HTTP and runs elsewhere. */
export const remoteServerSchema = z.strictObject({
  ...common,
  kind: z.literal("remote"),
  url: z.url({ protocol: /^https?$/ }),
  /** Values may name secrets of the vault, as `${secret:NAME}`. */
  transport: z.enum(SERVER_TRANSPORTS).optional().describe("absent: it is found out; `sse`: the one of 2024"),
  headers: z.record(z.string().min(1).max(128), z.string().max(8_192)).default({}),
  oauth: serverOauthSchema.optional(),
});
export type RemoteServer = z.infer<typeof remoteServerSchema>;

export const serverConfigSchema = z.discriminatedUnion("kind", [vmServerSchema, remoteServerSchema]);
export type ServerConfig = z.infer<typeof serverConfigSchema>;

/**
 * `new`: it has never been started. `preparing`: it is being installed, started for the first time, and saved. `failed`: that did not work. `stopped`: the next
 * call brings it back. `running`: it has a VM, or a session where it runs elsewhere. `needs_login`: it runs elsewhere and wants somebody to log in.
 * `disabled`: by its configuration.
 */
export const SERVER_STATES = ["new", "preparing", "failed", "needs_login", "stopped", "running", "disabled"] as const;

export const serverSchema = z.object({
  name: z.string(),
  kind: z.enum(["vm", "remote"]),
  state: z.enum(SERVER_STATES),
  reason: z.string().optional().describe("why it has failed"),
  retryAt: z
    .string()
    .optional()
    .describe("from when on a call starts a server that has failed to start; `server start` does at once"),
  source: z.string().describe("the file that it comes from"),
  config: serverConfigSchema,
  packages: z
    .array(z.object({ name: z.string(), version: z.string(), digest: z.string().optional() }))
    .describe("the package that has been installed for it; what came with it: `packages_digest` of firebreak.lock"),
  image: z
    .object({
      name: z.string(),
      digest: z.string().describe("as its registry has it; of one that is of no registry, its own"),
    })
    .optional()
    .describe("the image that it is, or is installed in, when it names one"),
  protocol: z.object({ era: z.enum(["modern", "legacy"]), version: z.string() }).optional(),
  implementation: z.object({ name: z.string(), version: z.string() }).optional().describe("as it says itself"),
  tools: z.array(z.object({ name: z.string(), as: z.string(), description: z.string().optional() })),
  prompts: z.number().int(),
  resources: z.number().int(),
  waiting: z.number().int().describe("how much of what it offers waits for an approval: `server scan` shows it"),
  scan: z
    .enum(["ok", "warning", "danger", "failed"])
    .optional()
    .describe("what was found when what it offers was last looked at and approved: `server scan` says it"),
  vms: z.array(z.string()).describe("names of its VMs"),
  preparedAt: z.string().optional(),
  warnings: z.array(z.string()).describe("what of its configuration could not be done at its first start"),
});
export type Server = z.infer<typeof serverSchema>;

/** All servers of one file, in the place of those that came from it before. */
export const serverApplySchema = z.strictObject({
  source: z
    .string()
    .min(1)
    .max(4_096)
    .describe("the file's path; what came from it before and is not named any more is deleted"),
  servers: z.array(serverConfigSchema).max(MAX_SERVERS),
  workspace: z
    .string()
    .startsWith("/", "an absolute path")
    .max(4_096)
    .optional()
    .describe("the directory that stands for the file's `workspace` when the file is read anew"),
});
export type ServerApply = z.input<typeof serverApplySchema>;
export const serverAppliedSchema = z.object({
  added: z.array(z.string()),
  changed: z.array(z.string()),
  removed: z.array(z.string()),
  unchanged: z.array(z.string()),
});
export type ServerApplied = z.infer<typeof serverAppliedSchema>;

const definitionRef = z.strictObject({ kind: z.enum(DEFINITION_KINDS), name: z.string().min(1).max(4_096) });

/** What there is to say of what a server offers, and what of it waits for an approval. */
export const serverScanSchema = z.object({
  server: z.string(),
  verdict: z.enum(["ok", "warning", "danger"]),
  findings: z.array(findingSchema),
  pending: z
    .array(definitionRef.extend({ what: z.enum(["new", "changed"]), diff: z.array(z.string()).describe("lines") }))
    .describe("what is neither offered nor called until somebody approves it"),
  removed: z.array(definitionRef).describe("what was approved and is not offered any more"),
  refused: z.array(z.object({ kind: z.enum(DEFINITION_KINDS), name: z.string(), why: z.string() })),
});
export type ServerScan = z.infer<typeof serverScanSchema>;

/** Approves what a server offers now. */
export const serverApproveSchema = z.strictObject({
  only: z.array(definitionRef).max(10_000).optional().describe("absent: all of it"),
});
export type ServerApprove = z.infer<typeof serverApproveSchema>;

export const serverUpdateSchema = z.strictObject({
  trial: z.boolean().default(false).describe("only tell what would change"),
});
export const serverUpdatedSchema = z.object({
  server: z.string(),
  isTrial: z.boolean(),
  changes: z
    .array(z.object({ name: z.string(), from: z.string().optional(), to: z.string().optional() }))
    .describe("packages whose version or digest is another; an image whose digest is another, with digests"),
});
export type ServerUpdated = z.infer<typeof serverUpdatedSchema>;

/** A login at a server that runs elsewhere begins: what is listened at for the browser's return. */
export const serverLoginSchema = z.strictObject({
  redirectUri: z
    .url({ protocol: /^http$/, hostname: /^(?:127\.0\.0\.1|\[::1\]|localhost)$/ })
    .describe("on loopback: where the browser comes back to"),
});
export type ServerLogin = z.infer<typeof serverLoginSchema>;

/** What there is to do for a login; `authorizationUrl` is absent when nobody has to do anything. */
export const serverLoginBegunSchema = z.object({
  server: z.string(),
  issuer: z.string().describe("the authorization server"),
  authorizationUrl: z.string().optional().describe("for a browser"),
  state: z.string().optional().describe("what the browser's return has as `state`"),
  scopes: z.array(z.string()).describe("what is asked for"),
});
export type ServerLoginBegun = z.infer<typeof serverLoginBegunSchema>;

export const serverLoginFinishSchema = z.strictObject({
  callback: z.string().min(1).max(16_384).describe("the query that the browser came back with"),
});
export type ServerLoginFinish = z.infer<typeof serverLoginFinishSchema>;
