import type { Readable } from "node:stream";

/** Where the files of tasks are kept, by digest: one place for all of a daemon's. */
export interface ResultStorage {
  /** For people: what the place is. */
  readonly place: string;
  /** Keeps what a file of this host holds, which is removed or moved. Equal content is kept once. */
  put(digest: string, file: string, sizeBytes: number): Promise<void>;
  /** Throws ARTIFACT_CORRUPT when it is gone. */
  get(digest: string, range: { offset?: number | undefined; length?: number | undefined }): Promise<Readable>;
  delete(digest: string): Promise<void>;
}
