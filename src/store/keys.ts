import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { ApiKey } from "../contract/key.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** An API key as it is kept: its digest rather than itself. */
export interface KeyRecord extends ApiKey {
  /** SHA-256 of the whole key. */
  digest: Uint8Array;
}

/** API keys in SQLite; their making and revoking is noted among the events. */
export class SqliteKeyStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Throws KEY_ALREADY_EXISTS when its name is taken. */
  insert(record: KeyRecord): void {
    try {
      this.#noted("key_created", record, () =>
        this.#database
          .prepare("INSERT INTO api_keys (id, name, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?)")
          .run(record.id, record.name, record.digest, record.createdAt, record.expiresAt ?? null),
      );
    } catch (error) {
      if (!String((error as Error).message).includes("UNIQUE constraint failed: api_keys.name")) throw error;
      throw new FirebreakError("KEY_ALREADY_EXISTS", `an API key named '${record.name}' exists`, {
        hint: `Choose another name, or revoke it: firebreak key revoke ${record.name}`,
      });
    }
  }

  remove(record: KeyRecord): void {
    this.#noted("key_revoked", record, () =>
      this.#database.prepare("DELETE FROM api_keys WHERE id = ?").run(record.id),
    );
  }

  setLastUsed(id: string, at: string): void {
    this.#database.prepare("UPDATE api_keys SET last_used_at = ? WHERE id = ?").run(at, id);
  }

  list(): KeyRecord[] {
    return this.#database.prepare("SELECT * FROM api_keys ORDER BY created_at, id").all().map(decode);
  }

  #noted(kind: string, { id, name }: KeyRecord, change: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      change();
      this.#database
        .prepare("INSERT INTO events (at, vm_id, kind, data) VALUES (?, NULL, ?, ?)")
        .run(new Date().toISOString(), kind, JSON.stringify({ key: id, name }));
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function decode(row: Record<string, SQLOutputValue>): KeyRecord {
  return {
    id: String(row.id),
    name: String(row.name),
    digest: row.digest as Uint8Array,
    createdAt: String(row.created_at),
    ...(row.expires_at === null ? {} : { expiresAt: String(row.expires_at) }),
    ...(row.last_used_at === null ? {} : { lastUsedAt: String(row.last_used_at) }),
  };
}
