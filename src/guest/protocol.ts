import { z } from "zod";

/** What the guest agent answers, parsed strictly: a guest is hostile. Shapes and units are those of docs/guest-protocol.md. */
const count = z.number().int().nonnegative();
const text = z.string().max(64 * 1024);

export const guestHelloSchema = z.object({
  generation: count,
  agentVersion: text,
  bootId: text,
  kernel: text,
  uptimeMs: count,
  /** What this agent can do besides; one restored from an old snapshot may be older than this host, see GUEST_FEATURES. */
  features: z.array(z.string().max(64)).max(256).default([]),
});
export type GuestHello = z.infer<typeof guestHelloSchema>;

/** Names in GuestHello.features: an agent without one ignores the field that it stands for. */
export const GUEST_FEATURES = {
  growOverlay: "grow-overlay",
  bootId: "boot-id",
  newMachine: "new-machine",
  connect: "connect",
  drives: "drives",
  archiveWhole: "archive-whole",
  egress: "egress",
  javaTrust: "java-trust",
  mounts: "mounts",
} as const;

/** What a guest has in the place of a network card, or with it. */
export interface GuestNetwork {
  /** `proxy`: names are asked for over the egress connection. */
  mode: "none" | "proxy" | "nat";
  /** What its programs are told of a refusal. */
  reason?: string;
  /** Of the mode `nat`. */
  nat?: GuestCard;
}

/** A guest's network card, IPv4. */
export interface GuestCard {
  /** Six bytes of lower-case hex digits with colons between them. */
  mac: string;
  address: string;
  prefixBits: number;
  gateway: string;
  nameservers: string[];
}

/** What makes a restored guest a machine of its own; each field is optional, and repeating a request does no harm. */
export interface PersonaliseValues {
  hostname?: string;
  wallClockMs?: number;
  /** 32 to 4096 bytes from the host. */
  entropyBase64?: string;
  /** 32 lower-case hex digits. */
  machineId?: string;
  /** Joins what earlier requests gave; a name given again has the new value. */
  env?: Record<string, string>;
  /** A lower-case UUID (feature `boot-id`). */
  bootId?: string;
  /** The writable drive's file system is grown to this size; the drive has to have it (feature `grow-overlay`). */
  overlayBytes?: number;
  /** A fork rather than the same machine going on: host keys and seeds are made anew (feature `new-machine`). */
  isNewMachine?: boolean;
  /** (feature `egress`) */
  network?: GuestNetwork;
  /** PEM certificates that its programs trust besides their system's (feature `egress`). */
  trust?: string;
}

/** A drive in the guest: its device node and what size the guest sees. */
export const guestDriveSchema = z.object({ device: z.string().regex(/^\/dev\/[a-z]{1,16}$/), sizeBytes: count });
export type GuestDrive = z.infer<typeof guestDriveSchema>;

export const guestStatsSchema = z.object({
  uptimeMs: count,
  processes: count,
  load1: z.number(),
  memory: z.object({ totalBytes: count, availableBytes: count }),
  disk: z.object({ totalBytes: count, availableBytes: count }),
  cpu: z.object({ userMs: count, systemMs: count, idleMs: count }),
  agentRssBytes: count,
});
export type GuestStats = z.infer<typeof guestStatsSchema>;

export const execExitSchema = z.object({
  exitCode: z.number().int().min(0).max(255).nullable(),
  signal: z.string().max(16).nullable(),
  timedOut: z.boolean(),
  durationMs: count,
  userMs: count,
  systemMs: count,
  maxRssBytes: count,
  outputBytes: count,
  stdinBytes: count,
});
export type ExecExit = z.infer<typeof execExitSchema>;

const execId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
export const execStartedSchema = z.object({
  id: execId,
  pid: count,
  offset: count,
  /** How much input the command's pipe has taken so far. */
  stdinBytes: count.optional(),
});
export type ExecStarted = z.infer<typeof execStartedSchema>;
export const execSkippedSchema = z.object({ bytes: count });

export const execInfoSchema = z.object({
  id: execId,
  argv: z.array(text).max(65536),
  pid: count,
  state: z.enum(["running", "exited"]),
  startedAtMs: count,
  outputBytes: count,
  spooledFrom: count,
  tty: z.boolean(),
  exit: execExitSchema.nullable(),
});
export type ExecInfo = z.infer<typeof execInfoSchema>;
export const execListSchema = z.object({ execs: z.array(execInfoSchema).max(256) });

const fileType = z.enum(["file", "directory", "symlink", "other"]);
export const fileStatSchema = z.object({
  path: z.string().max(16 * 1024),
  type: fileType,
  sizeBytes: count,
  mode: z.string().max(8),
  uid: count,
  gid: count,
  mtimeMs: z.number(),
  target: z
    .string()
    .max(16 * 1024)
    .nullish(),
});
export type FileStat = z.infer<typeof fileStatSchema>;

export const directoryEntrySchema = fileStatSchema.extend({
  name: z.string().max(4096),
  nameBase64: z.string().max(4096).nullish(),
});
export type DirectoryEntry = z.infer<typeof directoryEntrySchema>;
export const directorySchema = z.object({ entries: z.array(directoryEntrySchema).max(10_000), more: z.boolean() });
export type Directory = z.infer<typeof directorySchema>;

export const archiveResultSchema = z.object({ entries: count, bytes: count });
export type ArchiveResult = z.infer<typeof archiveResultSchema>;

/** A mount of the host's in the guest. */
export const guestMountSchema = z.object({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  path: z.string().max(16 * 1024),
  readOnly: z.boolean(),
  attached: z.boolean(),
});
export type GuestMount = z.infer<typeof guestMountSchema>;
export const guestMountsSchema = z.object({ mounts: z.array(guestMountSchema).max(256) });

/** What is mounted, and where; see docs/guest-protocol.md. */
export interface MountTarget {
  id: string;
  path: string;
  readOnly: boolean;
  kind: "file" | "directory";
}

export const guestErrorSchema = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(8192), errno: z.number().int().nullish() }),
});

/** What listens in a guest: a port (on the host's loopback addresses when `host`, an IP address, is absent), or a socket with a path. */
export type ConnectTarget = { port: number; host?: string } | { path: string };

/** What is started in a VM; see SPEC in docs/guest-protocol.md. */
export interface ExecSpec {
  id?: string;
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  user?: string;
  timeoutMs?: number;
  killGraceMs?: number;
  tty?: { cols: number; rows: number };
  stdin?: boolean;
  spoolBytes?: number;
}

/** One that goes on while nobody follows it. */
export interface UnattendedExecSpec extends ExecSpec {
  /** What happens to a full spool that nobody reads: the oldest bytes go, or the command waits. */
  detach: "drop" | "block";
}
