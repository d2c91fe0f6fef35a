import type { WorkspaceBackup, WorkspaceReport } from "../contract/workspace.ts";

/** What is kept of a sync besides the trees, which are files in the workspace's folder. */
export interface WorkspaceRecord {
  /** The VM's, or a copy's own. */
  id: string;
  vmId: string;
  vmName: string;
  /** Canonical: no links in it. */
  directory: string;
  guestPath: string;
  readOnly: boolean;
  /** Pushed at the VM's start, pulled before its stop. */
  isAutomatic: boolean;
  exclude: string[];
  /** `open`: the VM may hold what has not come back. `applying`: a plan in the folder is being carried out on the host. */
  state: "new" | "open" | "synced" | "applying";
  reason?: string;
  lastPushAt?: string;
  lastPullAt?: string;
  report?: WorkspaceReport;
  /** The VM has been deleted; what is left is the report. */
  endedAt?: string;
}

export type WorkspaceChanges = { [K in keyof Omit<WorkspaceRecord, "id" | "vmId">]?: WorkspaceRecord[K] | undefined };

/** Where workspaces and backups are kept. A write is durable before it returns. */
export interface WorkspaceStore {
  /** New, or in the place of the old one of its id. */
  put(record: WorkspaceRecord): void;
  update(id: string, changes: WorkspaceChanges): WorkspaceRecord;
  get(id: string): WorkspaceRecord | undefined;
  list(): WorkspaceRecord[];
  /** A VM's workspace and its copies. */
  listOf(vmId: string): WorkspaceRecord[];
  remove(id: string): void;
  addBackup(backup: WorkspaceBackup): void;
  /** The newest first. */
  listBackups(): WorkspaceBackup[];
  removeBackup(id: string): void;
}
