import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { McpSessionRecord, McpSessionStore } from "../mcp/http/session-store.ts";

/** Sessions of legacy MCP clients in SQLite. */
export class SqliteMcpSessionStore implements McpSessionStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  insert(record: McpSessionRecord): void {
    this.#database
      .prepare(
        `INSERT INTO mcp_sessions (id, principal, query, initialize, subscriptions, created_at, used_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        record.id,
        record.principal,
        record.query,
        JSON.stringify(record.initialize),
        JSON.stringify(record.subscriptions),
        record.createdAt,
        record.usedAt,
      );
  }

  get(id: string): McpSessionRecord | undefined {
    const row = this.#database.prepare("SELECT * FROM mcp_sessions WHERE id = ?").get(id);
    return row === undefined ? undefined : decode(row);
  }

  update(id: string, { subscriptions, usedAt }: Partial<McpSessionRecord>): void {
    this.#database
      .prepare(
        `UPDATE mcp_sessions SET subscriptions = coalesce(?, subscriptions), used_at = coalesce(?, used_at)
         WHERE id = ?`,
      )
      .run(subscriptions === undefined ? null : JSON.stringify(subscriptions), usedAt ?? null, id);
  }

  remove(id: string): void {
    this.#database.prepare("DELETE FROM mcp_sessions WHERE id = ?").run(id);
  }

  listExpired(usedBefore: string, most: number): string[] {
    return this.#database
      .prepare(
        `SELECT id FROM mcp_sessions WHERE used_at < ?
         UNION SELECT id FROM (SELECT id FROM mcp_sessions ORDER BY used_at DESC LIMIT -1 OFFSET ?)`,
      )
      .all(usedBefore, most)
      .map((row) => String(row.id));
  }
}

function decode(row: Record<string, SQLOutputValue>): McpSessionRecord {
  return {
    id: String(row.id),
    principal: String(row.principal),
    query: String(row.query),
    initialize: JSON.parse(String(row.initialize)) as Record<string, unknown>,
    subscriptions: JSON.parse(String(row.subscriptions)) as string[],
    createdAt: String(row.created_at),
    usedAt: String(row.used_at),
  };
}
