import type { DatabaseSync } from "node:sqlite";

/** What one daemon leaves to the next about itself, as JSON by name. */
export class SqliteSettings {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get(name: string): unknown {
    const row = this.#database.prepare("SELECT value FROM settings WHERE name = ?").get(name);
    return row === undefined ? undefined : JSON.parse(String(row.value));
  }

  set(name: string, value: unknown): void {
    this.#database
      .prepare(
        "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      )
      .run(name, JSON.stringify(value));
  }

  remove(name: string): void {
    this.#database.prepare("DELETE FROM settings WHERE name = ?").run(name);
  }
}
