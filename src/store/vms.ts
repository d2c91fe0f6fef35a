import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { VmEvent } from "../contract/event.ts";
import { VM_TRANSITIONS, type VmState } from "../contract/vm.ts";
import { FirebreakError, isHostDiskFull } from "../errors/firebreak-error.ts";
import type { EventFilter, VmChanges, VmRecord, VmStore } from "../vms/vm-store.ts";

type Row = Record<string, SQLOutputValue>;
type SqlValue = string | number | null;

interface Column {
  column: string;
  encode?: (value: never) => SqlValue;
  decode?: (value: never) => unknown;
}

const json = (column: string): Column => ({
  column,
  encode: JSON.stringify as (value: never) => string,
  decode: JSON.parse as (value: never) => unknown,
});
const flag = (column: string): Column => ({
  column,
  encode: (value: boolean) => Number(value),
  decode: (value: number) => value === 1,
});

/** Events that are kept, the newest; older ones go when the daemon starts. */
const KEPT_EVENTS = 100_000;

/** How often changes are tried again that there was no space for, ms. */
const RETRY_MS = 1_000;
/** Events of one VM that wait for space at most, the newest. */
const MAX_UNWRITTEN_EVENTS = 32;

/** What there was no space for. */
interface Unwritten {
  changes: VmChanges;
  events: { at: string; kind: string; data: Record<string, unknown> }[];
}

const COLUMNS: Record<keyof VmRecord, Column> = {
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
  ephemeral: flag("ephemeral"),
  env: json("env"),
  policy: json("policy"),
  secrets: json("secrets"),
  mounts: json("mounts"),
  authority: { column: "authority" },
  vmm: json("vmm"),
  startFrom: json("start_from"),
  origin: { column: "origin" },
  snapshot: { column: "snapshot" },
  agent: json("agent"),
  idleTimeoutMs: { column: "idle_timeout_ms" },
  labels: json("labels"),
  restart: json("restart"),
  restartCount: { column: "restart_count" },
  isWanted: flag("is_wanted"),
  expiresAt: { column: "expires_at" },
  onExpiry: { column: "on_expiry" },
  bootMs: { column: "boot_ms" },
  createdAt: { column: "created_at" },
  startedAt: { column: "started_at" },
};
const KEYS = Object.keys(COLUMNS) as (keyof VmRecord)[];

/** VMs in SQLite. */
export class SqliteVmStore implements VmStore {
  readonly #database: DatabaseSync;
  readonly #listeners = new Set<(event: VmEvent) => void>();
  /** Written in the transaction under way: nobody hears of what may yet be taken back. */
  #pending: VmEvent[] = [];
  readonly #changeListeners = new Set<(vmId: string) => void>();
  /** By VM. It is replaced, never changed: what is rolled back is unwritten again. */
  #unwritten: ReadonlyMap<string, Unwritten> = new Map();
  #retry: NodeJS.Timeout | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.prepare("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?").run(KEPT_EVENTS);
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
      this.#tellOfChange(record.id);
    } catch (error) {
      if (!String((error as Error).message).includes("UNIQUE constraint failed: vms.name")) throw error;
      throw new FirebreakError("VM_ALREADY_EXISTS", `a VM named '${record.name}' exists`, {
        hint: `Choose another name, or delete it: firebreak vm delete ${record.name}`,
      });
    }
  }

  update(id: string, changes: VmChanges): VmRecord {
    if (changes.state !== undefined) this.#checkTransition(id, changes.state);
    const unwritten = this.#unwritten.get(id);
    const all = { ...unwritten?.changes, ...changes };
    const keys = Object.keys(all) as (keyof VmChanges)[];
    if (keys.length > 0) {
      const assignments = keys.map((key) => `${COLUMNS[key].column} = ?`).join(", ");
      this.#database
        .prepare(`UPDATE vms SET ${assignments} WHERE id = ?`)
        .run(...keys.map((key) => encode(key, all[key])), id);
    }
    if (unwritten !== undefined) this.#setUnwritten(id, { ...unwritten, changes: {} });
    this.#tellOfChange(id);
    const record = this.get(id);
    if (record === undefined) throw new FirebreakError("VM_NOT_FOUND", `the VM ${id} is gone`);
    return record;
  }

  #checkTransition(id: string, to: VmState): void {
    const record = this.get(id);
    if (record === undefined || record.state === to || VM_TRANSITIONS[record.state].includes(to)) return;
    throw new FirebreakError("INTERNAL", `the VM '${record.name}' cannot go from ${record.state} to ${to}`);
  }

  /** Its history stays, under the name that it had. */
  remove(id: string): void {
    this.#atomically(() => {
      this.#writeEvents(id);
      if (this.get(id) !== undefined) this.addEvent(id, "deleted", {});
      this.#database.prepare("DELETE FROM vms WHERE id = ?").run(id);
      this.#setUnwritten(id, undefined);
    });
    this.#tellOfChange(id);
  }

  get(id: string): VmRecord | undefined {
    return this.#read(this.#database.prepare("SELECT * FROM vms WHERE id = ?").get(id));
  }

  find(nameOrId: string): VmRecord | undefined {
    return this.#read(this.#database.prepare("SELECT * FROM vms WHERE name = ? OR id = ?").get(nameOrId, nameOrId));
  }

  list(): VmRecord[] {
    return this.#database
      .prepare("SELECT * FROM vms ORDER BY created_at, id")
      .all()
      .map((row) => this.#read(row) as VmRecord);
  }

  #read(row: Row | undefined): VmRecord | undefined {
    const record = decode(row);
    const unwritten = record === undefined ? undefined : this.#unwritten.get(record.id);
    if (record === undefined || unwritten === undefined) return record;
    const present = Object.entries({ ...record, ...unwritten.changes }).filter(([, value]) => value !== undefined);
    // No entry of a record is dropped that it must have: changes clear only what may be absent.
    return Object.fromEntries(present) as unknown as VmRecord;
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
      this.#writeEvents(id);
      this.addEvent(id, kind, data);
      return record;
    });
  }

  keep(id: string, changes: VmChanges, event?: { kind: string; data: Record<string, unknown> }): VmRecord {
    try {
      return event === undefined ? this.update(id, changes) : this.note(id, changes, event.kind, event.data);
    } catch (error) {
      const known = this.get(id);
      if (known === undefined || !isHostDiskFull(error)) throw error;
      const at = new Date().toISOString();
      const before = this.#unwritten.get(id) ?? { changes: {}, events: [] };
      const events = event === undefined ? before.events : [...before.events, { at, ...event }];
      this.#setUnwritten(id, {
        changes: { ...before.changes, ...changes },
        events: events.slice(-MAX_UNWRITTEN_EVENTS),
      });
      this.#retry ??= setInterval(() => this.#writeAll(), RETRY_MS).unref();
      this.#tellOfChange(id);
      // Whoever waits for it looks at the VM; whoever reads the history finds the event there when it is written.
      if (event !== undefined)
        for (const listener of this.#listeners) listener({ id: 0, at, vmId: id, vm: known.name, ...event });
      return { ...known, ...this.get(id) };
    }
  }

  /** Writes what there was no space for, if there is some now. */
  #writeAll(): void {
    try {
      for (const id of this.#unwritten.keys())
        this.#atomically(() => {
          if (this.get(id) !== undefined) this.update(id, {});
          this.#writeEvents(id);
        });
    } catch (error) {
      // Another trouble than that, such as a database that has been closed, is not waited for.
      if (isHostDiskFull(error)) return;
    }
    clearInterval(this.#retry);
    this.#retry = undefined;
  }

  #writeEvents(id: string): void {
    const unwritten = this.#unwritten.get(id);
    if (unwritten === undefined) return;
    for (const { at, kind, data } of unwritten.events) this.#insertEvent(id, kind, data, at);
    this.#setUnwritten(id, { ...unwritten, events: [] });
  }

  #setUnwritten(id: string, unwritten: Unwritten | undefined): void {
    const isEmpty =
      unwritten === undefined || (unwritten.events.length === 0 && Object.keys(unwritten.changes).length === 0);
    const others = [...this.#unwritten].filter(([other]) => other !== id);
    this.#unwritten = new Map(isEmpty ? others : [...others, [id, unwritten]]);
  }

  onChange(listener: (vmId: string) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  #tellOfChange(vmId: string): void {
    for (const listener of this.#changeListeners) listener(vmId);
  }

  #atomically<T>(work: () => T): T {
    const unwritten = this.#unwritten;
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      this.#tell();
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      this.#pending = [];
      this.#unwritten = unwritten;
      throw error;
    }
  }

  #tell(): void {
    const events = this.#pending;
    this.#pending = [];
    for (const event of events) for (const listener of this.#listeners) listener(event);
  }

  addEvent(vmId: string, kind: string, data: Record<string, unknown>): void {
    this.#insertEvent(vmId, kind, data, new Date().toISOString());
  }

  #insertEvent(vmId: string, kind: string, data: Record<string, unknown>, at: string): void {
    const vm = this.get(vmId)?.name ?? "";
    const { lastInsertRowid } = this.#database
      .prepare("INSERT INTO events (at, vm_id, vm, kind, data) VALUES (?, ?, ?, ?, ?)")
      .run(at, vmId, vm, kind, JSON.stringify(data));
    this.#pending.push({ id: Number(lastInsertRowid), at, vmId, vm, kind, data });
    if (!this.#database.isTransaction) this.#tell();
  }

  events({ vmId, afterId, limit = -1 }: EventFilter): VmEvent[] {
    const ofVm = vmId === undefined ? "" : "AND vm_id = ?";
    const order = afterId === undefined ? "DESC" : "ASC";
    const rows = this.#database
      .prepare(`SELECT id, at, vm_id, vm, kind, data FROM events WHERE id > ? ${ofVm} ORDER BY id ${order} LIMIT ?`)
      .all(...(vmId === undefined ? [afterId ?? 0, limit] : [afterId ?? 0, vmId, limit]));
    return (afterId === undefined ? rows.reverse() : rows).map((row) => ({
      id: Number(row.id),
      at: String(row.at),
      vmId: String(row.vm_id),
      vm: String(row.vm),
      kind: String(row.kind),
      data: JSON.parse(String(row.data)) as Record<string, unknown>,
    }));
  }

  onEvent(listener: (event: VmEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
  // As `encode` has written it, column by column; which type each has, a loop cannot say.
  return record as unknown as VmRecord;
}
