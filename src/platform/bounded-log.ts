import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

/** A log file of bounded size: at `maxBytes` it becomes FILE.1, in place of an earlier one. One writer. */
export class BoundedLog {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number;
  #sizeBytes: number;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#fd = openSync(path, "a", 0o600);
    this.#sizeBytes = fstatSync(this.#fd).size;
  }

  /** Appends; a full disk loses the bytes rather than the writer. */
  append(bytes: Uint8Array): void {
    try {
      if (this.#sizeBytes + bytes.length > this.#maxBytes && this.#sizeBytes > 0) this.#rotate();
      this.#sizeBytes += writeSync(this.#fd, bytes);
    } catch {
      // Nothing to do about it here: the log is for people, and the guest must not feel it.
    }
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const next = openSync(this.#path, "a", 0o600);
    // Only now: a descriptor that is closed before the new one is there could be somebody else's by the next append.
    closeSync(this.#fd);
    this.#fd = next;
    this.#sizeBytes = 0;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** All that a bounded log still holds, oldest first. */
export function readBoundedLog(path: string): Buffer {
  const read = (file: string) => {
    try {
      return readFileSync(file);
    } catch {
      return Buffer.alloc(0);
    }
  };
  return Buffer.concat([read(`${path}.1`), read(path)]);
}
