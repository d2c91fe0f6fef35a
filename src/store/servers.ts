import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { serverConfigSchema } from "../contract/server.ts";
import type { ServerRecord, ServerStore } from "../gateway/server-store.ts";

/** MCP servers in SQLite. */
export class SqliteServerStore implements ServerStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  list(): ServerRecord[] {
    return this.#database.prepare("SELECT * FROM servers ORDER BY name").all().map(decode);
  }

  get(name: string): ServerRecord | undefined {
    return this.#database.prepare("SELECT * FROM servers WHERE name = ?").all(name).map(decode)[0];
  }

  put({ config, source, installed, warm, createdAt, workspace }: ServerRecord): void {
    const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
    this.#database
      .prepare(
        "INSERT OR REPLACE INTO servers (name, config, source, installed, warm, created_at, workspace) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(config.name, JSON.stringify(config), source, json(installed), json(warm), createdAt, workspace ?? null);
  }

  remove(name: string): void {
    this.#database.prepare("DELETE FROM servers WHERE name = ?").run(name);
  }
}

function decode(row: Record<string, SQLOutputValue>): ServerRecord {
  return {
    config: serverConfigSchema.parse(JSON.parse(String(row.config))),
    source: String(row.source),
    createdAt: String(row.created_at),
    ...(row.workspace === null ? {} : { workspace: String(row.workspace) }),
    ...(row.installed === null
      ? {}
      : { installed: JSON.parse(String(row.installed)) as ServerRecord["installed"] & object }),
    ...(row.warm === null ? {} : { warm: JSON.parse(String(row.warm)) as ServerRecord["warm"] & object }),
  };
}
