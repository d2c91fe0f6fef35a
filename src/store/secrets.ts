import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { SecretRecord, SecretStore } from "../secrets/secret-store.ts";

/** Secrets in SQLite, their values sealed. */
export class SqliteSecretStore implements SecretStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  put({ id, name, sealed, ...facts }: SecretRecord): void {
    this.#database
      .prepare(
        "INSERT INTO secrets (name, id, sealed, facts) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET id = excluded.id, sealed = excluded.sealed, facts = excluded.facts",
      )
      .run(name, id, sealed, JSON.stringify(facts));
  }

  remove(name: string): void {
    this.#database.prepare("DELETE FROM secrets WHERE name = ?").run(name);
  }

  get(name: string): SecretRecord | undefined {
    return this.#database.prepare("SELECT * FROM secrets WHERE name = ?").all(name).map(decode)[0];
  }

  list(): SecretRecord[] {
    return this.#database.prepare("SELECT * FROM secrets ORDER BY name").all().map(decode);
  }
}

function decode(row: Record<string, SQLOutputValue>): SecretRecord {
  const facts = JSON.parse(String(row.facts)) as Omit<SecretRecord, "id" | "name" | "sealed">;
  return { ...facts, id: String(row.id), name: String(row.name), sealed: row.sealed as Uint8Array };
}
