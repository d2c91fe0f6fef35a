import { createReadStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ResultStorage } from "./storage.ts";

/** A folder of this host. */
export class LocalStorage implements ResultStorage {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get place(): string {
    return this.#folder;
  }

  async put(digest: string, file: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await rename(file, this.#file(digest));
  }

  async get(
    digest: string,
    { offset = 0, length }: { offset?: number | undefined; length?: number | undefined },
  ): Promise<Readable> {
    const file = this.#file(digest);
    const size = await stat(file).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined) throw new FirebreakError("ARTIFACT_CORRUPT", "the content of the file is missing");
    const end = Math.min(size, offset + (length ?? size));
    return end > offset ? createReadStream(file, { start: offset, end: end - 1 }) : Readable.from([]);
  }

  async delete(digest: string): Promise<void> {
    await rm(this.#file(digest), { force: true });
  }

  #file(digest: string): string {
    return path.join(this.#folder, digest.slice("sha256:".length));
  }
}
