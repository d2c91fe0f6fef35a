import { z } from "zod";
import { attachedDriveSchema } from "./attachment.ts";
import { vmMountSchema, vmMountsSchema } from "./mount.ts";
import { mountPathSchema } from "./mount-path.ts";
import { egressPolicySchema, NO_NETWORK } from "./policy.ts";
import { secretGrantsSchema } from "./secret.ts";
import { workspaceSpecSchema } from "./workspace.ts";

/** The HTTP API's VM resource, shared by daemon, CLI, MCP tools and dashboard. */

export const VM_STATES = [
  "created",
  "starting",
  "running",
  "paused",
  "suspending",
  "suspended",
  "stopping",
  "stopped",
  "crashed",
  "deleting",
] as const;
export type VmState = (typeof VM_STATES)[number];

/** Which state may follow which; the store refuses any other change. To stay in a state is always allowed. */
export const VM_TRANSITIONS: Readonly<Record<VmState, readonly VmState[]>> = {
  created: ["starting", "crashed", "stopped", "deleting"],
  // A wake that fails leaves what it would have been brought back from.
  starting: ["running", "crashed", "suspended", "stopped", "deleting"],
  // `created`: brought back to a snapshot, it begins a new life.
  running: ["paused", "suspending", "stopping", "stopped", "crashed", "created", "deleting"],
  paused: ["running", "stopping", "stopped", "crashed", "created", "deleting"],
  suspending: ["suspended", "running", "crashed", "deleting"],
  suspended: ["starting", "stopping", "stopped", "crashed", "created", "deleting"],
  stopping: ["stopped", "crashed", "deleting"],
  stopped: ["starting", "created", "deleting"],
  crashed: ["starting", "stopped", "created", "deleting"],
  deleting: [],
};

export const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
export const nameSchema = z.string().regex(NAME_PATTERN, "a name is made of a-z, 0-9 and '-', at most 63 characters");

/** Least memory that boots the stock kernel with room for work; the host's total is the other end, checked at create. */
export const MIN_MEMORY_MIB = 128;
export const MAX_MEMORY_MIB = 1024 * 1024;
export const MIN_DISK_MIB = 64;
export const MAX_DISK_MIB = 16 * 1024 * 1024;
export const MAX_CPUS = 64;

/** Shorter ones would suspend a VM between two commands of a script. */
export const MIN_IDLE_TIMEOUT_MS = 1_000;
export const MAX_IDLE_TIMEOUT_MS = 30 * 24 * 3600 * 1000;

/** Restarts that never end are what `always` without a number is for. */
export const MAX_RESTARTS = 1000;
export const MAX_LIFETIME_MS = 365 * 24 * 3600 * 1000;
/** How long a VM may wait for the host's memory. */
export const MAX_ADMISSION_WAIT_MS = 24 * 3600 * 1000;
const admissionWaitSchema = z
  .number()
  .int()
  .min(1)
  .max(MAX_ADMISSION_WAIT_MS, "at most a day")
  .optional()
  .describe("how long to wait for the host's memory; without it a VM that does not fit is refused at once");
export const MAX_LABELS = 64;

/** `auto` leaves the choice of a VMM to the daemon. */
export const DRIVER_REQUESTS = ["auto", "qemu", "firecracker"] as const;
export type DriverRequest = (typeof DRIVER_REQUESTS)[number];
export const driverRequestSchema = z
  .enum(DRIVER_REQUESTS, `one of ${DRIVER_REQUESTS.join(", ")}`)
  .describe(
    "which VMM it has for its life; `auto` is Firecracker where it works with KVM; without it the daemon's default",
  );
export const ACCEL_REQUESTS = ["auto", "kvm", "tcg"] as const;
export const accelRequestSchema = z
  .enum(ACCEL_REQUESTS, `one of ${ACCEL_REQUESTS.join(", ")}`)
  .describe("`auto` is KVM where a guest runs in it");

export const DEFAULTS = { image: "debian", memoryMib: 512, cpus: 1, diskMib: 2048 } as const;

export const envSchema = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "an environment name is made of letters, digits and '_'"),
  z
    .string()
    .max(128 * 1024)
    .refine((value) => !value.includes("\0"), "a value cannot hold a NUL")
    .refine((value) => value.isWellFormed(), "a value is Unicode, without half a pair"),
);

const labelKeySchema = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/,
    "a label's key is made of letters, digits, '.', '_', '/' and '-', at most 63 characters",
  );
const labelValueSchema = z
  .string()
  .max(256)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are refused
  .regex(/^[^\u0000-\u001f\u007f]*$/, "a label's value holds no control characters");

export const labelsSchema = z
  .record(labelKeySchema, labelValueSchema)
  .refine((labels) => Object.keys(labels).length <= MAX_LABELS, `at most ${MAX_LABELS} labels`);

export const RESTART_POLICIES = ["never", "on-failure", "always"] as const;
/** When a VM whose VMM has ended without anybody asking for it is started again. */
export const restartSchema = z.strictObject({
  policy: z.enum(RESTART_POLICIES, RESTART_POLICIES.join(", ")),
  /** In a row; absent: without end. */
  maxRetries: z.number().int().min(1, "at least 1").max(MAX_RESTARTS, `at most ${MAX_RESTARTS}`).optional(),
});
export type RestartPolicy = z.infer<typeof restartSchema>;

const idleTimeoutSchema = z
  .number()
  .int()
  .min(MIN_IDLE_TIMEOUT_MS, "at least a second")
  .max(MAX_IDLE_TIMEOUT_MS, "at most 30 days");
const maxLifetimeSchema = z.number().int().min(1_000, "at least a second").max(MAX_LIFETIME_MS, "at most a year");

/** What becomes of a VM whose lifetime has passed. Its disk goes only when that was asked for. */
export const EXPIRY_ACTIONS = ["stop", "suspend", "delete"] as const;
export type ExpiryAction = (typeof EXPIRY_ACTIONS)[number];
const onExpirySchema = z.enum(EXPIRY_ACTIONS, EXPIRY_ACTIONS.join(", "));

export const vmCreateSchema = z.strictObject({
  name: nameSchema.optional().describe("one is made up when there is none"),
  image: z.string().min(1).max(200).default(DEFAULTS.image).describe("by name, or by digest"),
  memoryMib: z
    .number()
    .int()
    .min(MIN_MEMORY_MIB, `at least ${MIN_MEMORY_MIB} MiB`)
    .max(MAX_MEMORY_MIB, `at most ${MAX_MEMORY_MIB} MiB`)
    .default(DEFAULTS.memoryMib)
    .describe("memory, MiB"),
  cpus: z.number().int().min(1, "at least 1").max(MAX_CPUS, `at most ${MAX_CPUS}`).default(DEFAULTS.cpus),
  diskMib: z
    .number()
    .int()
    .min(MIN_DISK_MIB, `at least ${MIN_DISK_MIB} MiB`)
    .max(MAX_DISK_MIB, `at most ${MAX_DISK_MIB} MiB`)
    .default(DEFAULTS.diskMib)
    .describe("what it may write above its image, MiB"),
  driver: driverRequestSchema.optional(),
  accel: accelRequestSchema.default("auto"),
  env: envSchema.default({}).describe("of every command in it"),
  network: egressPolicySchema.default(NO_NETWORK).describe("what it may reach"),
  secrets: secretGrantsSchema.default([]).describe("what it may use on its way out"),
  cold: z.boolean().default(false).describe("boot it, which takes seconds, rather than fork it from its template"),
  idleTimeoutMs: idleTimeoutSchema
    .optional()
    .describe("save it and end its VMM when nobody has used it for this long; whoever uses it next brings it back"),
  volumes: z
    .array(z.strictObject({ volume: nameSchema, path: mountPathSchema, readOnly: z.boolean().optional() }))
    .max(16, "at most 16")
    .optional()
    .describe("drives with a file system, mounted from its start on; it keeps them until they are detached"),
  labels: labelsSchema.default({}),
  restart: restartSchema.default({ policy: "never" }),
  maxLifetimeMs: maxLifetimeSchema.optional().describe("from its creation on; then `onExpiry` is done"),
  onExpiry: onExpirySchema.default("stop"),
  workspace: workspaceSpecSchema
    .optional()
    .describe("a host directory that is copied into it, and back before it stops; for callers on the UNIX socket"),
  mounts: vmMountsSchema
    .default([])
    .describe("host directories and files that it sees live; for callers on the UNIX socket"),
  admissionWaitMs: admissionWaitSchema,
});
export type VmCreate = z.input<typeof vmCreateSchema>;
export type VmCreateParsed = z.output<typeof vmCreateSchema>;

/** What may be changed of a VM that is there, whatever its state; null takes a thing away. */
export const vmUpdateSchema = z.strictObject({
  name: nameSchema.optional(),
  labels: z.record(labelKeySchema, labelValueSchema.nullable()).optional(),
  restart: restartSchema.optional(),
  idleTimeoutMs: idleTimeoutSchema.nullable().optional(),
  maxLifetimeMs: maxLifetimeSchema.nullable().optional().describe("from now on"),
  onExpiry: onExpirySchema.optional(),
});
export type VmUpdate = z.input<typeof vmUpdateSchema>;

export const VM_ORIGINS = ["boot", "template", "snapshot", "suspension"] as const;
export type VmOrigin = (typeof VM_ORIGINS)[number];

export const vmSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(VM_STATES),
  reason: z.string().optional().describe("why it is crashed, or why its last start failed"),
  image: z.string(),
  imageDigest: z.string(),
  kernelId: z.string(),
  memoryMib: z.number().int(),
  cpus: z.number().int(),
  diskMib: z.number().int(),
  driver: z.string(),
  accel: z.enum(["kvm", "tcg"]).optional().describe("the live accelerator while it runs"),
  accelReason: z.string().optional().describe("why the accelerator is not KVM"),
  origin: z
    .enum(VM_ORIGINS)
    .describe(
      "what its present life began with: a boot, a fork of a template, or a saved machine (a snapshot's, or its own)",
    ),
  snapshot: z.string().optional().describe("the snapshot that it comes from, or was last saved as"),
  idleTimeoutMs: z.number().int().optional(),
  network: egressPolicySchema.describe("what it may reach"),
  secrets: secretGrantsSchema.describe("what it may use on its way out"),
  exposedSecrets: z
    .array(z.string())
    .optional()
    .describe("names of those of them whose values it has: it is neither saved nor forked"),
  drives: z.array(attachedDriveSchema).describe("what it is to have besides its disk: drives and volumes"),
  mounts: z
    .array(
      vmMountSchema.extend({ reason: z.string().optional().describe("why the VM does not get at it at the moment") }),
    )
    .describe("host directories and files that it sees live"),
  labels: z.record(z.string(), z.string()),
  restart: restartSchema,
  restartCount: z.number().int().describe("restarts in a row, since it last ran for a while or somebody started it"),
  expiresAt: z.string().optional().describe("when `onExpiry` is done"),
  onExpiry: z.enum(EXPIRY_ACTIONS),
  ephemeral: z.boolean().describe("true for the VM of `firebreak run`: deleted with its command"),
  pid: z.number().int().optional(),
  createdAt: z.string(),
  startedAt: z.string().optional(),
  bootMs: z.number().optional().describe("from VMM start to the guest agent's first answer"),
});
export type Vm = z.infer<typeof vmSchema>;

const bytes = z.number().int().nonnegative();
const room = z.object({ totalBytes: bytes, availableBytes: bytes });

/** What a VM uses. Times and traffic count from the start of its VMM; rates are differences of two answers. */
export const vmStatsSchema = z.object({
  vm: z.string(),
  state: z.enum(VM_STATES),
  at: z.string(),
  cpus: z.number().int(),
  memoryBytes: bytes,
  drive: z
    .object({ sizeBytes: bytes, allocatedBytes: bytes })
    .describe("the writable drive: what the guest may fill, and what of it takes space on the host"),
  channel: z
    .object({ receivedBytes: bytes, sentBytes: bytes })
    .optional()
    .describe("what the host has received from the guest and sent to it to operate it: commands, files, forwards"),
  network: z
    .object({ receivedBytes: bytes, sentBytes: bytes })
    .optional()
    .describe("the same of its ways out: by name, or its network card; absent when it has none"),
  vmm: z
    .object({ cpuMs: z.number(), rssBytes: bytes, pssBytes: bytes.optional() })
    .optional()
    .describe("the VMM's process, as the host sees it"),
  guest: z
    .object({
      uptimeMs: z.number(),
      processes: z.number().int(),
      load1: z.number(),
      memory: room,
      disk: room,
      cpu: z.object({ userMs: z.number(), systemMs: z.number(), idleMs: z.number() }),
      agentRssBytes: bytes,
    })
    .optional()
    .describe("as the guest sees itself; absent when it does not run or does not answer"),
});
export type VmStats = z.infer<typeof vmStatsSchema>;

/** A step of something that takes longer than a moment. */
export const progressSchema = z.object({
  step: z.string(),
  message: z.string(),
  fraction: z.number().optional().describe("0 to 1 where it can be known"),
});
export type Progress = z.infer<typeof progressSchema>;

/** A word of a command line. */
export const wordSchema = z
  .string()
  .refine((word) => !word.includes("\0"), "an argument cannot hold a NUL")
  .refine((word) => word.isWellFormed(), "an argument is Unicode, without half a pair");

export const execSpecSchema = z.strictObject({
  argv: z.array(wordSchema).min(1).max(65_536).describe("the program and its arguments; no shell is between"),
  env: envSchema.optional().describe("added to the VM's"),
  cwd: z.string().startsWith("/", "a working directory is an absolute path in the guest").optional(),
  user: z
    .string()
    .regex(
      /^[A-Za-z0-9._-]{1,64}(:[A-Za-z0-9._-]{1,64})?$/,
      "a user is NAME or UID, with :GROUP or :GID behind it if need be",
    )
    .optional(),
  timeoutMs: z
    .number()
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .optional()
    .describe("it is ended after this"),
  killGraceMs: z
    .number()
    .int()
    .min(0)
    .max(60_000)
    .optional()
    .describe("between TERM and KILL, when it has to be ended"),
  tty: z
    .strictObject({ cols: z.number().int().min(1).max(10_000), rows: z.number().int().min(1).max(10_000) })
    .optional()
    .describe("a terminal for it; its output is all stdout then"),
  stdin: z.boolean().optional().describe("it has input: STDIN frames; without, its input is empty"),
  detach: z.boolean().optional().describe("goes on without the caller: the answer ends with STARTED"),
  spoolBytes: z
    .number()
    .int()
    .min(64 * 1024)
    .max(16 * 1024 * 1024)
    .optional()
    .describe("how much of its newest output the guest keeps for whoever attaches to it (default: 1 MiB)"),
});
export type ExecRequest = z.input<typeof execSpecSchema>;

/** First frame of POST /v1/run. */
export const runSpecSchema = z.strictObject({
  vm: vmCreateSchema,
  /** Without `argv`: the image's own command. */
  exec: execSpecSchema.extend({ argv: execSpecSchema.shape.argv.optional() }),
});
export type RunRequest = z.input<typeof runSpecSchema>;

export const resizeSchema = z.strictObject({
  cols: z.number().int().min(1).max(10_000),
  rows: z.number().int().min(1).max(10_000),
});
export const signalSchema = z.strictObject({ signal: z.string().regex(/^SIG[A-Z0-9]{1,10}$/) });
export const killSchema = z.strictObject({ graceMs: z.number().int().min(0).max(60_000).optional() });
export const startSchema = z.strictObject({ admissionWaitMs: admissionWaitSchema });
export const stopSchema = z.strictObject({
  graceMs: z.number().int().min(0).max(600_000).optional().describe("how long the guest may take to shut down"),
  force: z.boolean().optional().describe("at once; what the guest has not written to its disk is lost"),
});
export const waitSchema = z.strictObject({
  for: z
    .array(z.enum([...VM_STATES, "deleted"], "a state of a VM, or deleted"))
    .min(1)
    .max(VM_STATES.length + 1),
  timeoutMs: z.number().int().min(1).max(MAX_LIFETIME_MS).optional(),
});
export type WaitRequest = z.infer<typeof waitSchema>;
export const PLANNED_STATES = ["running", "paused", "suspended", "stopped", "absent"] as const;
/** What a VM is to come to, for a plan of how. */
export const planSchema = z.strictObject({
  state: z.enum(PLANNED_STATES),
  graceMs: z.number().int().min(0).max(600_000).optional(),
});
export type PlanRequest = z.input<typeof planSchema>;

export const vmPlanSchema = z.object({
  vm: vmSchema,
  steps: z.array(z.looseObject({ kind: z.string() })).describe("in order; `kind`, and what else there is to a step"),
});
export type VmPlan = z.infer<typeof vmPlanSchema>;

export const moveSchema = z.strictObject({ from: z.string(), to: z.string(), overwrite: z.boolean().optional() });
export const buildSchema = z.strictObject({ force: z.boolean().optional() });
export const kernelBuildSchema = z.strictObject({
  force: z.boolean().optional().describe("even when it is up to date"),
  use: z.boolean().optional().describe("give it to new VMs"),
});
