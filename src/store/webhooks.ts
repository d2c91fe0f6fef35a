import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { Delivery, DeliveryStore, PendingDelivery } from "../tasks/webhooks/delivery-store.ts";

/** All but what is sent, which may be long. */
const COLUMNS = "id, task, url, secret, is_confined, state, tries, due_at, reason";

/** Deliveries of webhooks in SQLite. */
export class SqliteDeliveryStore implements DeliveryStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  insert(delivery: Delivery): void {
    const { id, task, url, secret, isConfined, body, state, tries, dueAt, reason } = delivery;
    this.#database
      .prepare(
        "INSERT INTO webhook_deliveries (id, task, url, secret, is_confined, body, state, tries, due_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(id, task, url, secret ?? null, isConfined ? 1 : 0, body, state, tries, dueAt, reason ?? null);
  }

  pending(limit: number): PendingDelivery[] {
    return this.#database
      .prepare(`SELECT ${COLUMNS} FROM webhook_deliveries WHERE state = 'pending' ORDER BY due_at LIMIT ?`)
      .all(limit)
      .map(decode);
  }

  bodyOf(id: string): string {
    return String(this.#database.prepare("SELECT body FROM webhook_deliveries WHERE id = ?").get(id)?.body ?? "");
  }

  ofTask(task: string): PendingDelivery[] {
    return this.#database
      .prepare(`SELECT ${COLUMNS} FROM webhook_deliveries WHERE task = ? ORDER BY rowid`)
      .all(task)
      .map(decode);
  }

  update(id: string, change: Partial<Pick<Delivery, "state" | "tries" | "dueAt" | "reason">>): void {
    const old = this.#database.prepare(`SELECT ${COLUMNS} FROM webhook_deliveries WHERE id = ?`).all(id).map(decode)[0];
    if (old === undefined) return;
    const { task, state, tries, dueAt, reason } = { ...old, ...change };
    // What was sent is needed no more, and neither is the rest when its task is gone.
    this.#database
      .prepare(
        "UPDATE webhook_deliveries SET body = iif(? = 'pending', body, ''), state = ?, tries = ?, due_at = ?, reason = ? WHERE id = ?",
      )
      .run(state, state, tries, dueAt, reason ?? null, id);
    this.#database
      .prepare(
        "DELETE FROM webhook_deliveries WHERE id = ? AND state <> 'pending' AND NOT EXISTS (SELECT 1 FROM tasks WHERE id = ?)",
      )
      .run(id, task);
  }

  /** Of a task that is deleted: what is still to be sent stays until it has been. */
  forget(task: string): void {
    this.#database.prepare("DELETE FROM webhook_deliveries WHERE task = ? AND state <> 'pending'").run(task);
  }
}

function decode(row: Record<string, SQLOutputValue>): PendingDelivery {
  return {
    id: String(row.id),
    task: String(row.task),
    url: String(row.url),
    secret: row.secret === null ? undefined : String(row.secret),
    isConfined: row.is_confined === 1,
    state: row.state as Delivery["state"],
    tries: Number(row.tries),
    dueAt: String(row.due_at),
    reason: row.reason === null ? undefined : String(row.reason),
  };
}
