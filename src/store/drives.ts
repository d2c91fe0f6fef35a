import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { MAX_ATTACHED_DRIVES } from "../contract/drive.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { AttachmentRecord, DriveOfVm, DriveRecord, DriveStore, VmOfDrive } from "../vms/drive-store.ts";

type Row = Record<string, SQLOutputValue>;

/** Drives and their attachments in SQLite. */
export class SqliteDriveStore implements DriveStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  insert({ id, name, state, format, sizeMib, createdAt }: DriveRecord): void {
    try {
      this.#database
        .prepare("INSERT INTO drives (id, name, state, format, size_mib, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .run(id, name, state, format, sizeMib, createdAt);
    } catch (error) {
      if (!String((error as Error).message).includes("UNIQUE constraint failed: drives.name")) throw error;
      throw new FirebreakError("DRIVE_ALREADY_EXISTS", `a drive named '${name}' exists`, {
        hint: `Choose another name, or delete it with what is on it: firebreak drive delete ${name}`,
      });
    }
  }

  update(id: string, changes: Partial<Pick<DriveRecord, "state" | "format" | "sizeMib">>): DriveRecord {
    const columns = { state: "state", format: "format", sizeMib: "size_mib" } as const;
    for (const key of Object.keys(columns) as (keyof typeof columns)[]) {
      const value = changes[key];
      if (value === undefined) continue;
      this.#database.prepare(`UPDATE drives SET ${columns[key]} = ? WHERE id = ?`).run(value, id);
    }
    const drive = this.find(id);
    if (drive === undefined) throw notFound(id);
    return drive;
  }

  find(nameOrId: string): DriveRecord | undefined {
    const row = this.#database.prepare("SELECT * FROM drives WHERE name = ? OR id = ?").get(nameOrId, nameOrId);
    return row === undefined ? undefined : toDrive(row);
  }

  list(): DriveRecord[] {
    return this.#database.prepare("SELECT * FROM drives ORDER BY created_at, id").all().map(toDrive);
  }

  beginDelete(id: string): void {
    this.#atomically(() => {
      const [first] = this.ofDrive(id);
      if (first !== undefined) throw inUse(this.#nameOf(id), first, "cannot be deleted");
      this.update(id, { state: "deleting" });
    });
  }

  remove(id: string): void {
    this.#database.prepare("DELETE FROM drives WHERE id = ?").run(id);
  }

  attach(wanted: Omit<AttachmentRecord, "slot" | "reason">): DriveOfVm {
    const { driveId, vmId, path, readOnly, state } = wanted;
    return this.#atomically(() => {
      const drive = this.find(driveId);
      if (drive?.state !== "ready") throw notFound(drive?.name ?? driveId);
      for (const other of this.ofDrive(driveId)) {
        if (other.vmId === vmId || !(other.readOnly && readOnly)) throw inUse(drive.name, other, "cannot be attached");
      }
      const present = this.ofVm(vmId);
      const samePath = path === undefined ? undefined : present.find((other) => other.path === path);
      if (samePath !== undefined) throw placeTaken(path as string, samePath.drive.name);
      const slots = new Set(present.map((other) => other.slot));
      const slot = [...Array(MAX_ATTACHED_DRIVES).keys()].find((candidate) => !slots.has(candidate));
      if (slot === undefined) throw tooMany();
      const sql = "INSERT INTO attachments (drive_id, vm_id, slot, path, read_only, state) VALUES (?, ?, ?, ?, ?, ?)";
      try {
        this.#database.prepare(sql).run(driveId, vmId, slot, path ?? null, Number(readOnly), state);
      } catch (error) {
        if (!String((error as Error).message).includes("FOREIGN KEY constraint failed")) throw error;
        throw new FirebreakError("VM_NOT_FOUND", "the VM is gone");
      }
      return { ...wanted, slot, drive };
    });
  }

  change(vmId: string, driveId: string, { state, reason }: Pick<AttachmentRecord, "state" | "reason">): void {
    this.#database
      .prepare("UPDATE attachments SET state = ?, reason = ? WHERE vm_id = ? AND drive_id = ?")
      .run(state, reason ?? null, vmId, driveId);
  }

  detach(vmId: string, driveId: string): void {
    this.#database.prepare("DELETE FROM attachments WHERE vm_id = ? AND drive_id = ?").run(vmId, driveId);
  }

  ofVm(vmId: string): DriveOfVm[] {
    const drives = new Map(this.list().map((drive) => [drive.id, drive]));
    return this.#database
      .prepare("SELECT * FROM attachments WHERE vm_id = ? ORDER BY path, slot")
      .all(vmId)
      .map((row) => ({ ...toAttachment(row), drive: drives.get(String(row.drive_id)) as DriveRecord }));
  }

  ofDrive(driveId: string): VmOfDrive[] {
    return this.#database
      .prepare(
        "SELECT attachments.*, vms.name FROM attachments JOIN vms ON vms.id = vm_id WHERE drive_id = ? ORDER BY vms.name",
      )
      .all(driveId)
      .map((row) => ({ ...toAttachment(row), vmName: String(row.name) }));
  }

  vms(): string[] {
    return this.#database
      .prepare("SELECT DISTINCT vm_id FROM attachments ORDER BY vm_id")
      .all()
      .map((row) => String(row.vm_id));
  }

  #nameOf(id: string): string {
    return this.find(id)?.name ?? id;
  }

  #atomically<T>(work: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function toDrive(row: Row): DriveRecord {
  return {
    id: String(row.id),
    name: String(row.name),
    state: row.state as DriveRecord["state"],
    format: row.format as DriveRecord["format"],
    sizeMib: Number(row.size_mib),
    createdAt: String(row.created_at),
  };
}

function toAttachment(row: Row): AttachmentRecord {
  return {
    driveId: String(row.drive_id),
    vmId: String(row.vm_id),
    slot: Number(row.slot),
    ...(row.path === null ? {} : { path: String(row.path) }),
    readOnly: row.read_only === 1,
    state: row.state as AttachmentRecord["state"],
    ...(row.reason === null ? {} : { reason: String(row.reason) }),
  };
}

function notFound(nameOrId: string): FirebreakError {
  return new FirebreakError("DRIVE_NOT_FOUND", `no drive is named '${nameOrId}'`, {
    hint: "List them: firebreak drive list",
  });
}

function inUse(name: string, other: VmOfDrive, what: string): FirebreakError {
  const how = other.readOnly ? "attached read-only" : "attached";
  return new FirebreakError("DRIVE_IN_USE", `the drive '${name}' ${what}: it is ${how} to the VM '${other.vmName}'`, {
    hint: `Detach it there: firebreak drive detach ${other.vmName} ${name}. Only read-only it can be had by several VMs.`,
    details: { vm: other.vmName, readOnly: other.readOnly },
  });
}

function placeTaken(path: string, drive: string): FirebreakError {
  return new FirebreakError("DRIVE_BUSY", `the drive '${drive}' is at ${path} in that VM`, {
    hint: "Choose another path.",
  });
}

function tooMany(): FirebreakError {
  return new FirebreakError("DRIVE_LIMIT", `a VM has at most ${MAX_ATTACHED_DRIVES} drives attached`, {
    hint: "Detach one that is not needed.",
  });
}
