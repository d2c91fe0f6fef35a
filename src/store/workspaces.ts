import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { WorkspaceBackup } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { WorkspaceChanges, WorkspaceRecord, WorkspaceStore } from "../workspaces/workspace-store.ts";

/** Workspaces and their backups in SQLite. */
export class SqliteWorkspaceStore implements WorkspaceStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  put(record: WorkspaceRecord): void {
    this.#database
      .prepare(
        `INSERT OR REPLACE INTO workspaces (id, vm_id, vm_name, directory, guest_path, read_only, is_automatic, exclude, state, reason,
           last_push_at, last_pull_at, report, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        record.id,
        record.vmId,
        record.vmName,
        record.directory,
        record.guestPath,
        Number(record.readOnly),
        Number(record.isAutomatic),
        JSON.stringify(record.exclude),
        record.state,
        record.reason ?? null,
        record.lastPushAt ?? null,
        record.lastPullAt ?? null,
        record.report === undefined ? null : JSON.stringify(record.report),
        record.endedAt ?? null,
      );
  }

  update(id: string, changes: WorkspaceChanges): WorkspaceRecord {
    const record = this.get(id);
    if (record === undefined) throw new FirebreakError("WORKSPACE_NOT_FOUND", `the workspace ${id} is gone`);
    const changed = { ...record, ...changes } as WorkspaceRecord;
    this.put(changed);
    return changed;
  }

  get(id: string): WorkspaceRecord | undefined {
    const row = this.#database.prepare("SELECT * FROM workspaces WHERE id = ?").get(id);
    return row === undefined ? undefined : toRecord(row);
  }

  list(): WorkspaceRecord[] {
    return this.#database.prepare("SELECT * FROM workspaces ORDER BY rowid").all().map(toRecord);
  }

  listOf(vmId: string): WorkspaceRecord[] {
    return this.#database.prepare("SELECT * FROM workspaces WHERE vm_id = ? ORDER BY rowid").all(vmId).map(toRecord);
  }

  remove(id: string): void {
    this.#database.prepare("DELETE FROM workspaces WHERE id = ?").run(id);
  }

  addBackup(backup: WorkspaceBackup): void {
    this.#database
      .prepare(
        "INSERT INTO workspace_backups (id, directory, vm_name, created_at, size_bytes, file) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(backup.id, backup.directory, backup.vmName ?? null, backup.createdAt, backup.sizeBytes, backup.file);
  }

  listBackups(): WorkspaceBackup[] {
    return this.#database
      .prepare("SELECT * FROM workspace_backups ORDER BY created_at DESC, rowid DESC")
      .all()
      .map((row) => ({
        id: String(row.id),
        directory: String(row.directory),
        ...(row.vm_name === null ? {} : { vmName: String(row.vm_name) }),
        createdAt: String(row.created_at),
        sizeBytes: Number(row.size_bytes),
        file: String(row.file),
      }));
  }

  removeBackup(id: string): void {
    this.#database.prepare("DELETE FROM workspace_backups WHERE id = ?").run(id);
  }
}

function toRecord(row: Record<string, SQLOutputValue>): WorkspaceRecord {
  const text = (column: string) => (row[column] === null ? undefined : String(row[column]));
  const optional = <K extends string>(key: K, value: unknown) =>
    (value === undefined ? {} : { [key]: value }) as Record<K, never>;
  return {
    id: String(row.id),
    vmId: String(row.vm_id),
    vmName: String(row.vm_name),
    directory: String(row.directory),
    guestPath: String(row.guest_path),
    readOnly: row.read_only === 1,
    isAutomatic: row.is_automatic === 1,
    exclude: JSON.parse(String(row.exclude)) as string[],
    state: String(row.state) as WorkspaceRecord["state"],
    ...optional("reason", text("reason")),
    ...optional("lastPushAt", text("last_push_at")),
    ...optional("lastPullAt", text("last_pull_at")),
    ...optional("report", row.report === null ? undefined : JSON.parse(String(row.report))),
    ...optional("endedAt", text("ended_at")),
  };
}
