import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { VmChanges, VmEvent, VmRecord, VmStore } from "../vms/vm-store.ts";

type Row = Record<string, SQLOutputValue>;
type SqlValue = string | number | null;

const COLUMNS: Record<
  keyof VmRecord,
  { column: string; encode?: (value: never) => SqlValue; decode?: (value: never) => unknown }
> = {
  id: { column: "id" },
  name: { column: "name" },
  state: { column: "state" },
  reason: { column: "reason" },
  image: { column: "image" },
  imageDigest: { column: "image_digest" },
  kernelId: { column: "kernel_id" },
  memoryMib: { column: "memory_mib" },
  cpus: { column: "cpus" },
  diskMib: { column: "disk_mib" },
  driver: { column: "driver" },
  accelRequest: { column: "accel_request" },
  accelReason: { column: "accel_reason" },
  uid: { column: "uid" },
  ephemeral: { column: "ephemeral", encode: (value: boolean) => Number(value), decode: (value: number) => value === 1 },
  env: {
    column: "env",
    encode: JSON.stringify as (value: never) => string,
    decode: JSON.parse as (value: never) => unknown,
  },
  vmm: {
    column: "vmm",
    encode: JSON.stringify as (value: never) => string,
    decode: JSON.parse as (value: never) => unknown,
  },
  startFrom: {
    column: "start_from",
    encode: JSON.stringify as (value: never) => string,
    decode: JSON.parse as (value: never) => unknown,
  },
  origin: { column: "origin" },
  snapshot: { column: "snapshot" },
  agent: {
    column: "agent",
    encode: JSON.stringify as (value: never) => string,
    decode: JSON.parse as (value: never) => unknown,
  },
  idleTimeoutMs: { column: "idle_timeout_ms" },
  bootMs: { column: "boot_ms" },
  createdAt: { column: "created_at" },
  startedAt: { column: "started_at" },
};
const KEYS = Object.keys(COLUMNS) as (keyof VmRecord)[];

/** VMs in SQLite. */
export class SqliteVmStore implements VmStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  insert(record: VmRecord, data: Record<string, unknown>): void {
    const columns = KEYS.map((key) => COLUMNS[key].column).join(", ");
    const marks = KEYS.map(() => "?").join(", ");
    try {
      this.#atomically(() => {
        this.#database
          .prepare(`INSERT INTO vms (${columns}) VALUES (${marks})`)
          .run(...KEYS.map((key) => encode(key, record[key])));
        this.addEvent(record.id, "created", data);
      });
    } catch (error) {
      if (!String((error as Error).message).includes("UNIQUE constraint failed: vms.name")) throw error;
      throw new FirebreakError("VM_ALREADY_EXISTS", `a VM named '${record.name}' exists`, {
        hint: `Choose another name, or delete it: firebreak vm delete ${record.name}`,
      });
    }
  }

  update(id: string, changes: VmChanges): VmRecord {
    const keys = Object.keys(changes) as (keyof VmChanges)[];
    if (keys.length > 0) {
      const assignments = keys.map((key) => `${COLUMNS[key].column} = ?`).join(", ");
      this.#database
        .prepare(`UPDATE vms SET ${assignments} WHERE id = ?`)
        .run(...keys.map((key) => encode(key, changes[key])), id);
    }
    const record = this.get(id);
    if (record === undefined) throw new FirebreakError("VM_NOT_FOUND", `the VM ${id} is gone`);
    return record;
  }

  remove(id: string): void {
    this.#atomically(() => {
      this.#database.prepare("DELETE FROM events WHERE vm_id = ?").run(id);
      this.#database.prepare("DELETE FROM vms WHERE id = ?").run(id);
    });
  }

  get(id: string): VmRecord | undefined {
    return decode(this.#database.prepare("SELECT * FROM vms WHERE id = ?").get(id));
  }

  find(nameOrId: string): VmRecord | undefined {
    return decode(this.#database.prepare("SELECT * FROM vms WHERE name = ? OR id = ?").get(nameOrId, nameOrId));
  }

  list(): VmRecord[] {
    return this.#database
      .prepare("SELECT * FROM vms ORDER BY created_at, id")
      .all()
      .map((row) => decode(row) as VmRecord);
  }

  freeUid(base: number): number {
    const taken = new Set(
      this.#database
        .prepare("SELECT uid FROM vms")
        .all()
        .map((row) => row.uid),
    );
    let uid = base;
    while (taken.has(uid)) uid++;
    return uid;
  }

  note(id: string, changes: VmChanges, kind: string, data: Record<string, unknown>): VmRecord {
    return this.#atomically(() => {
      const record = this.update(id, changes);
      this.addEvent(id, kind, data);
      return record;
    });
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

  addEvent(vmId: string, kind: string, data: Record<string, unknown>): void {
    this.#database
      .prepare("INSERT INTO events (at, vm_id, kind, data) VALUES (?, ?, ?, ?)")
      .run(new Date().toISOString(), vmId, kind, JSON.stringify(data));
  }

  events(vmId: string): VmEvent[] {
    const rows = this.#database.prepare("SELECT id, at, kind, data FROM events WHERE vm_id = ? ORDER BY id").all(vmId);
    return rows.map((row) => ({
      id: Number(row.id),
      at: String(row.at),
      kind: String(row.kind),
      data: JSON.parse(String(row.data)) as Record<string, unknown>,
    }));
  }
}

function encode(key: keyof VmRecord, value: unknown): SqlValue {
  if (value === undefined) return null;
  const { encode: toSql } = COLUMNS[key];
  return toSql === undefined ? (value as SqlValue) : toSql(value as never);
}

function decode(row: Row | undefined): VmRecord | undefined {
  if (row === undefined) return undefined;
  const record: Record<string, unknown> = {};
  for (const key of KEYS) {
    const { column, decode: fromSql } = COLUMNS[key];
    const value = row[column];
    if (value !== null && value !== undefined) record[key] = fromSql === undefined ? value : fromSql(value as never);
  }
  return record as unknown as VmRecord;
}
