import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

/** Files up to this size are held in memory until it is known whether they are wanted. */
const MAX_HELD_BYTES = 1024 * 1024;

/** Content that is on its way to the host, by digest: no name of a guest's is a name here. */
export class Staging {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async reset(): Promise<void> {
    await this.remove();
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Reads content to its end and returns its digest and size; keeps it when `isWanted` says so of the digest. */
  async take(
    content: AsyncIterable<Buffer>,
    sizeBytes: number,
    isWanted: (sha256: string) => boolean,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    return sizeBytes <= MAX_HELD_BYTES ? this.#hold(content, isWanted) : this.#stream(content, isWanted);
  }

  async *read({ sha256, sizeBytes }: { sha256: string; sizeBytes: number }): AsyncGenerator<Buffer> {
    // A stream costs more than a small file itself.
    if (sizeBytes <= MAX_HELD_BYTES) yield await readFile(this.#place(sha256));
    else yield* createReadStream(this.#place(sha256), { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
  }

  #place(sha256: string): string {
    return path.join(this.folder, sha256);
  }

  async #hold(content: AsyncIterable<Buffer>, isWanted: (sha256: string) => boolean) {
    const hash = createHash("sha256");
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    for await (const piece of content) {
      hash.update(piece);
      pieces.push(piece);
      sizeBytes += piece.length;
    }
    const sha256 = hash.digest("hex");
    if (isWanted(sha256)) await writeFile(this.#place(sha256), Buffer.concat(pieces), { mode: 0o600 });
    return { sha256, sizeBytes };
  }

  async #stream(content: AsyncIterable<Buffer>, isWanted: (sha256: string) => boolean) {
    const hash = createHash("sha256");
    const temporary = this.#place(`part-${randomBytes(6).toString("hex")}`);
    const handle = await open(temporary, "wx", 0o600);
    let sizeBytes = 0;
    try {
      for await (const piece of content) {
        hash.update(piece);
        sizeBytes += piece.length;
        for (let at = 0; at < piece.length; ) at += (await handle.write(piece, at)).bytesWritten;
      }
    } finally {
      await handle.close();
    }
    const sha256 = hash.digest("hex");
    if (isWanted(sha256)) await rename(temporary, this.#place(sha256));
    else await rm(temporary);
    return { sha256, sizeBytes };
  }
}
