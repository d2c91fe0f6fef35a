import type { Artifact } from "../contract/artifact.ts";

/** Where artifacts are kept, besides their bytes. A write is durable before it returns. */
export interface ArtifactStore {
  /** Throws ARTIFACT_ALREADY_EXISTS when its name is taken. */
  insert(artifact: Artifact): void;
  /** By name or id. */
  find(nameOrId: string): Artifact | undefined;
  list(): Artifact[];
  remove(id: string): void;
}
