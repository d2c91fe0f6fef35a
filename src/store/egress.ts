import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { EgressEvent } from "../contract/egress.ts";
import type { EgressStore } from "../network/egress-store.ts";

/** Events that are kept, the newest. */
const KEPT_EVENTS = 100_000;
/** Old ones go after so many new ones. */
const PRUNE_EVERY = 1_000;

/** What guests have tried to reach, in SQLite. */
export class SqliteEgressStore implements EgressStore {
  readonly #database: DatabaseSync;
  #sincePruned = PRUNE_EVERY;

  constructor(database: DatabaseSync) {
    this.#database = database;
    // Connections end with the daemon that carried them.
    database.exec(`UPDATE egress_events SET data = json_set(data, '$.state', 'closed', '$.why', 'the daemon ended')
      WHERE json_extract(data, '$.state') = 'open'`);
  }

  write(events: readonly EgressEvent[]): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const statement = this.#database.prepare(
        "INSERT INTO egress_events (id, vm_id, data) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
      );
      for (const { id, ...event } of events) statement.run(id, event.vm.id, JSON.stringify(event));
      this.#sincePruned += events.length;
      if (this.#sincePruned >= PRUNE_EVERY) {
        this.#sincePruned = 0;
        this.#database
          .prepare("DELETE FROM egress_events WHERE id <= (SELECT max(id) FROM egress_events) - ?")
          .run(KEPT_EVENTS);
      }
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  list({ vmId, afterId, limit }: Parameters<EgressStore["list"]>[0]): EgressEvent[] {
    const ofVm = vmId === undefined ? "" : "AND vm_id = ?";
    const order = afterId === undefined ? "DESC" : "ASC";
    const rows = this.#database
      .prepare(`SELECT id, data FROM egress_events WHERE id > ? ${ofVm} ORDER BY id ${order} LIMIT ?`)
      .all(...(vmId === undefined ? [afterId ?? 0, limit] : [afterId ?? 0, vmId, limit]))
      .map(decode);
    return afterId === undefined ? rows.reverse() : rows;
  }

  lastId(): number {
    const row = this.#database.prepare("SELECT coalesce(max(id), 0) AS id FROM egress_events").get();
    return Number(row?.id);
  }
}

function decode(row: Record<string, SQLOutputValue>): EgressEvent {
  return { id: Number(row.id), ...(JSON.parse(String(row.data)) as Omit<EgressEvent, "id">) };
}
