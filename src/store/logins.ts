import type { DatabaseSync } from "node:sqlite";

/** Logins at MCP servers in SQLite, sealed: what is in them is for the vault. */
export class SqliteLoginStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get(server: string): Uint8Array | undefined {
    const row = this.#database.prepare("SELECT sealed FROM server_logins WHERE server = ?").get(server);
    return row?.sealed as Uint8Array | undefined;
  }

  put(server: string, sealed: Uint8Array): void {
    this.#database.prepare("INSERT OR REPLACE INTO server_logins (server, sealed) VALUES (?, ?)").run(server, sealed);
  }

  /** Returns whether there was one. */
  remove(server: string): boolean {
    return this.#database.prepare("DELETE FROM server_logins WHERE server = ?").run(server).changes > 0;
  }

  get isEmpty(): boolean {
    return this.#database.prepare("SELECT 1 FROM server_logins LIMIT 1").get() === undefined;
  }
}
