import { closeSync, openSync } from "node:fs";
import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { type Companion, startCompanion } from "../../platform/process.ts";

/**
 * Memory of saved machines, each in a memfd. QEMU 7.2 opens a memory file read-write even for a private mapping, and the user that a
 * VM's QEMU runs as must not be able to write to what other VMs are forked from: a sealed memfd can be opened so and written by nobody.
 * See docs/adr/0005.
 */

const heldSchema = z.object({ fd: z.number().int().min(0), sha256: z.string().optional() });
const savedSchema = z.object({ sha256: z.string(), dataBytes: z.number().int().min(0) });

/** A descriptor of a memfd. Whoever has it closes it; QEMUs that it was lent to keep the memory. */
export class GuestMemory {
  readonly fd: number;
  readonly #companion: Companion | undefined;
  #isClosed = false;

  private constructor(fd: number, companion?: Companion) {
    this.fd = fd;
    this.#companion = companion;
  }

  /** Blank memory that a machine may write to until it is saved. */
  static async blank(agentPath: string, sizeBytes: number): Promise<GuestMemory> {
    const companion = await startCompanion(agentPath, ["hold-memory", String(sizeBytes)]);
    try {
      const { fd } = parseLine(heldSchema, await companion.readLine());
      return new GuestMemory(openSync(`/proc/${companion.pid}/fd/${fd}`, "r"), companion);
    } catch (error) {
      companion.end();
      throw error;
    }
  }

  /** A sealed copy of a file. Throws SNAPSHOT_CORRUPT when its digest is another. */
  static async load(agentPath: string, file: string, sha256: string): Promise<GuestMemory> {
    const companion = await startCompanion(agentPath, ["lend-memory", file]);
    try {
      const held = parseLine(heldSchema, await companion.readLine().catch(unreadable(file)));
      if (held.sha256 !== sha256) {
        throw new FirebreakError("SNAPSHOT_CORRUPT", `${file} is not the memory that was saved`, { details: { file } });
      }
      return new GuestMemory(openSync(`/proc/${companion.pid}/fd/${held.fd}`, "r"));
    } finally {
      companion.end();
    }
  }

  /** Writes blank memory, by now a machine's, to a file and seals it. No machine may have it mapped any more. */
  async save(file: string): Promise<{ sha256: string; dataBytes: number }> {
    if (this.#companion === undefined) throw new FirebreakError("INTERNAL", "sealed memory is not saved again");
    this.#companion.writeLine(`save ${file}`);
    const saved = await this.#companion.readLine().catch(saveFailed);
    this.#companion.end();
    return parseLine(savedSchema, saved);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.fd);
    this.#companion?.end();
  }
}

function unreadable(file: string): (error: Error) => never {
  return (error) => {
    if (/ENOMEM|Cannot allocate memory|No space left/.test(error.message)) {
      throw new FirebreakError("VM_MEMORY_EXHAUSTED", `no memory is left for ${file}`, { cause: error });
    }
    throw new FirebreakError("SNAPSHOT_CORRUPT", `${file} cannot be read: ${error.message}`, { cause: error });
  };
}

function saveFailed(error: Error): never {
  if (/No space left on device|Disk quota exceeded/.test(error.message)) {
    throw new FirebreakError("HOST_DISK_FULL", "no space is left on the host's disk for the snapshot", {
      cause: error,
    });
  }
  throw new FirebreakError("SNAPSHOT_FAILED", `the memory could not be saved: ${error.message}`, { cause: error });
}

function parseLine<T>(schema: z.ZodType<T>, line: string): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    throw new FirebreakError("TOOL_FAILED", "the memory's holder answered something unexpected", { cause: error });
  }
}

/** What is kept cannot be swapped out to a file: only for those used last. */
const MAX_ENTRIES = 6;

/** Sealed memory of machines that are restored often, by its digest. */
export class MemoryCache {
  readonly #entries = new Map<string, { memory: GuestMemory; idle: NodeJS.Timeout }>();
  readonly #loading = new Map<string, Promise<GuestMemory>>();
  readonly #idleMs: number;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** Puts memory in that is sealed already. */
  add(sha256: string, memory: GuestMemory): void {
    this.release(sha256);
    this.#entries.set(sha256, { memory, idle: this.#startTimer(sha256) });
    for (const oldest of [...this.#entries.keys()].slice(0, -MAX_ENTRIES)) this.release(oldest);
  }

  /** The memory, from `load` at most once at a time. It is lent for the length of `use`. */
  async lend<T>(sha256: string, load: () => Promise<GuestMemory>, use: (fd: number) => Promise<T>): Promise<T> {
    if (!this.#entries.has(sha256)) await this.#load(sha256, load);
    const entry = this.#entries.get(sha256);
    if (entry === undefined) return this.lend(sha256, load, use); // it was let go of while others waited for it
    clearTimeout(entry.idle);
    entry.idle = this.#startTimer(sha256);
    // The last to be used is the last in the map.
    this.#entries.delete(sha256);
    this.#entries.set(sha256, entry);
    // A duplicate of our own: the cache may close its one meanwhile.
    const fd = openSync(`/proc/self/fd/${entry.memory.fd}`, "r");
    try {
      return await use(fd);
    } finally {
      closeSync(fd);
    }
  }

  async #load(sha256: string, load: () => Promise<GuestMemory>): Promise<void> {
    let loading = this.#loading.get(sha256);
    if (loading === undefined) {
      loading = load().finally(() => this.#loading.delete(sha256));
      this.#loading.set(sha256, loading);
      this.add(sha256, await loading);
    } else await loading;
  }

  release(sha256: string): void {
    const entry = this.#entries.get(sha256);
    if (entry === undefined) return;
    clearTimeout(entry.idle);
    entry.memory.close();
    this.#entries.delete(sha256);
  }

  #startTimer(sha256: string): NodeJS.Timeout {
    const timer = setTimeout(() => this.release(sha256), this.#idleMs);
    timer.unref();
    return timer;
  }

  close(): void {
    for (const sha256 of [...this.#entries.keys()]) this.release(sha256);
  }
}
