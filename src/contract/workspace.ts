import { z } from "zod";

/** The HTTP API's workspaces: host directories that are copied into a VM and synced back. Only for callers on the UNIX socket. */

export const DEFAULT_WORKSPACE_PATH = "/workspace";

/** What becomes of a path that host and VM have both changed: left alone and reported unless one of these is said. */
export const RESOLUTIONS = ["ours", "theirs", "keep-both"] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

const absolute = (what: string) =>
  z
    .string()
    .max(4095)
    .startsWith("/", `${what} is an absolute path`)
    .refine((value) => !value.includes("\0"), "a path cannot hold a NUL");
const exclude = z.array(z.string().min(1).max(1000)).max(1000);

export const workspaceSpecSchema = z.strictObject({
  /** On this host. */
  directory: absolute("a workspace's directory"),
  guestPath: absolute("a path in the guest").optional(),
  /** Nothing comes back from the VM. */
  readOnly: z.boolean().optional(),
  /** Patterns as in .gitignore, besides those in the directory's .firebreakignore. */
  exclude: exclude.optional(),
});
export type WorkspaceSpec = z.output<typeof workspaceSpecSchema>;

const syncFields = {
  resolve: z.enum(RESOLUTIONS, "ours, theirs or keep-both").optional(),
  /** Only say what would be done. */
  dryRun: z.boolean().optional(),
  maxEntries: z.number().int().min(1).optional(),
  maxBytes: z.number().int().min(0).optional(),
};

/** `directory` is needed for a VM's first push and refused when it is another one later. */
export const workspacePushSchema = z.strictObject({ ...workspaceSpecSchema.partial().shape, ...syncFields });
export type WorkspacePush = z.output<typeof workspacePushSchema>;

/** With `directory`, into that one instead: as far as nothing in it is in the way, and without a memory of it. */
export const workspacePullSchema = z.strictObject({
  directory: absolute("a workspace's directory").optional(),
  guestPath: absolute("a path in the guest").optional(),
  ...syncFields,
});
export type WorkspacePull = z.output<typeof workspacePullSchema>;

export const backupRestoreSchema = z.strictObject({ directory: absolute("a directory").optional() });

const side = z.enum(["created", "changed", "deleted"]);
const count = z.number().int().nonnegative();

export const workspaceBackupSchema = z.object({
  id: z.string(),
  directory: z.string(),
  vmName: z.string().optional(),
  createdAt: z.string(),
  sizeBytes: count,
  file: z.string().describe("on this host: a tar, compressed with zstd"),
});
export type WorkspaceBackup = z.infer<typeof workspaceBackupSchema>;

export const workspaceChangeSchema = z.object({
  path: z.string(),
  change: z.enum(["created", "updated", "deleted"]),
});
export type WorkspaceChange = z.infer<typeof workspaceChangeSchema>;

/** Longest lists in a report; the counts are of all. */
export const MAX_REPORTED = 10_000;

/** What a sync did, or would do. */
export const workspaceReportSchema = z.object({
  direction: z.enum(["push", "pull"]),
  isDryRun: z.boolean(),
  directory: z.string(),
  guestPath: z.string(),
  counts: z.object({ created: count, updated: count, deleted: count }),
  changes: z.array(workspaceChangeSchema).describe(`the first ${MAX_REPORTED}`),
  conflicts: z
    .array(
      z.object({
        path: z.string(),
        host: side.describe("what has been done to it on the host since the last sync"),
        vm: side.describe("what the VM has done to it"),
      }),
    )
    .describe("left alone unless a resolution was asked for"),
  resolution: z.enum(RESOLUTIONS).optional().describe("what was done about the conflicts"),
  skipped: z.array(z.object({ path: z.string(), why: z.string() })).describe(`left out, the first ${MAX_REPORTED}`),
  backup: workspaceBackupSchema.optional().describe("the directory as it was before"),
});
export type WorkspaceReport = z.infer<typeof workspaceReportSchema>;
export type WorkspaceSkipped = WorkspaceReport["skipped"][number];

export const WORKSPACE_STATES = ["new", "open", "synced", "not_synced", "applying"] as const;

export const workspaceSchema = z.object({
  vm: z.object({ id: z.string(), name: z.string() }),
  directory: z.string(),
  guestPath: z.string(),
  readOnly: z.boolean(),
  isAutomatic: z.boolean().describe("pushed when the VM starts, pulled before it stops"),
  exclude: z.array(z.string()),
  state: z
    .enum(WORKSPACE_STATES)
    .describe(
      "new: nothing copied yet; open: the VM may have changed it since the last sync; not_synced: the VM has ended and what it changed has not come back; applying: a pull was cut off, and goes on with the next pull or daemon",
    ),
  reason: z.string().optional().describe("why it is not synced"),
  lastPushAt: z.string().optional(),
  lastPullAt: z.string().optional(),
  report: workspaceReportSchema.optional().describe("of the last sync that was no dry run"),
});
export type Workspace = z.infer<typeof workspaceSchema>;

/** What a push and a pull would do now. */
export const workspaceStatusSchema = z.object({
  workspace: workspaceSchema,
  push: workspaceReportSchema,
  pull: workspaceReportSchema,
});
export type WorkspaceStatus = z.infer<typeof workspaceStatusSchema>;
