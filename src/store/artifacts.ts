import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { ArtifactStore } from "../artifacts/artifact-store.ts";
import type { Artifact } from "../contract/artifact.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Artifacts in SQLite. */
export class SqliteArtifactStore implements ArtifactStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  insert(artifact: Artifact): void {
    const { id, name, kind, mediaType, sizeBytes, digest, vm, path, createdAt } = artifact;
    try {
      this.#database
        .prepare(
          `INSERT INTO artifacts (id, name, kind, media_type, size_bytes, digest, vm_id, vm_name, path, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(id, name, kind, mediaType, sizeBytes, digest, vm.id, vm.name, path, createdAt);
    } catch (error) {
      if (!String((error as Error).message).includes("UNIQUE constraint failed: artifacts.name")) throw error;
      throw new FirebreakError("ARTIFACT_ALREADY_EXISTS", `an artifact named '${name}' exists`, {
        hint: `Choose another name, or delete it: firebreak artifact delete ${name}`,
      });
    }
  }

  find(nameOrId: string): Artifact | undefined {
    const row = this.#database.prepare("SELECT * FROM artifacts WHERE name = ? OR id = ?").get(nameOrId, nameOrId);
    return row === undefined ? undefined : toArtifact(row);
  }

  list(): Artifact[] {
    return this.#database.prepare("SELECT * FROM artifacts ORDER BY created_at, id").all().map(toArtifact);
  }

  remove(id: string): void {
    this.#database.prepare("DELETE FROM artifacts WHERE id = ?").run(id);
  }
}

function toArtifact(row: Record<string, SQLOutputValue>): Artifact {
  return {
    id: String(row.id),
    name: String(row.name),
    kind: row.kind === "directory" ? "directory" : "file",
    mediaType: String(row.media_type),
    sizeBytes: Number(row.size_bytes),
    digest: String(row.digest),
    vm: { id: String(row.vm_id), name: String(row.vm_name) },
    path: String(row.path),
    createdAt: String(row.created_at),
  };
}
