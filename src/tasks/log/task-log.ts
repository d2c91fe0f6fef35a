import { type FileHandle, mkdir, open } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TaskEvent, TaskEventBody } from "../../contract/task-event.ts";
import { Mutex } from "../../vms/mutex.ts";
import { OUTPUT_START, type OutputPosition } from "../output-reader.ts";
import { Pace } from "./pace.ts";

/** Between two known places in the file, events. */
const INDEX_EVERY = 512;
/** How much is read at once, bytes. */
const READ_BYTES = 256 * 1024;
/** What all followers of a log get together while it grows, and once it does not, bytes a second: whoever writes it comes first. */
const GROWING_RATE = 4 * 1024 * 1024;
const RESTING_RATE = 64 * 1024 * 1024;
/** A log to which nothing has been written for so long rests, ms. */
const REST_MS = 50;
const NEWLINE = 10;

interface ReadOptions {
  follow?: boolean;
  signal?: AbortSignal;
  maxBehind?: number;
  onSkip?: (from: number, to: number) => void;
}

type LoggedEvent = TaskEventBody & { raw?: string | undefined };

/** How a log ends: what a daemon that opens it goes on from. */
interface LogEnd {
  seq: number;
  sizeBytes: number;
  position: OutputPosition;
}

/** The last event of each write has it; what lies behind was cut off by a crash and comes again. */
type Stored = TaskEvent & { position?: OutputPosition };

/**
 * The events of one task in a file, one JSON object a line, numbered from 1. Appending is all that is ever done to it. Those who follow read the file at
 * their own pace, within a rate that they share: whoever appends comes first.
 */
export class TaskLog {
  readonly #file: FileHandle;
  readonly #writing = new Mutex();
  /** Every so many events: where one begins. Filled as far as somebody has read or written. */
  readonly #index: { seq: number; offset: number }[] = [{ seq: 1, offset: 0 }];
  readonly #waiting = new Set<() => void>();
  #long: { offset: number; line: Promise<Buffer> } | undefined;
  #end: LogEnd;
  #isEnded = false;
  #followers = 0;
  /** By the clock that never goes back, ms. */
  #grewAtMs = Number.NEGATIVE_INFINITY;

  private constructor(file: FileHandle, end: LogEnd) {
    this.#file = file;
    this.#end = end;
  }

  /** Makes the file where there is none; a torn end is cut off. */
  static async open(place: string): Promise<TaskLog> {
    await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
    const file = await open(place, "a+", 0o600);
    try {
      const end = await readEnd(file);
      await file.truncate(end.sizeBytes);
      return new TaskLog(file, end);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Of the last event; 0 when there is none. */
  get lastSeq(): number {
    return this.#end.seq;
  }

  get position(): OutputPosition {
    return this.#end.position;
  }

  /** Writes events, with the position that they reach to. Throws what the file system throws: nothing of them is there then. */
  append(events: readonly LoggedEvent[], position?: OutputPosition): Promise<TaskEvent[]> {
    return this.#writing.run(async () => {
      if (events.length === 0) return [];
      const at = new Date().toISOString();
      const next = position ?? this.#end.position;
      const numbered: TaskEvent[] = events.map((event, index) => ({ seq: this.#end.seq + 1 + index, at, ...event }));
      const lines = numbered.map((event, index) =>
        Buffer.from(
          `${JSON.stringify(index === numbered.length - 1 ? ({ ...event, position: next } satisfies Stored) : event)}\n`,
        ),
      );
      const bytes = Buffer.concat(lines);
      try {
        for (let done = 0; done < bytes.length; )
          done += (await this.#file.write(bytes, done, bytes.length - done)).bytesWritten;
      } catch (error) {
        await this.#file.truncate(this.#end.sizeBytes);
        throw error;
      }
      this.#noteIndex(lines);
      this.#end = {
        seq: this.#end.seq + numbered.length,
        sizeBytes: this.#end.sizeBytes + bytes.length,
        position: next,
      };
      this.#grewAtMs = performance.now();
      this.#wake();
      return numbered;
    });
  }

  /** Nothing more will come: those who follow get to their end. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  /** Only once nobody reads. */
  async close(): Promise<void> {
    this.end();
    await this.#writing.run(() => this.#file.close());
  }

  /**
   * Lines of events from `from` on, as they are in the file: a piece holds whole lines. With `follow` it goes on until the log has ended; otherwise to what there
   * is now. Whoever is too slow for `maxBehind` bytes is told `onSkip` and goes on near the end. Those who follow share what may be read of a log in a second.
   */
  async *read(from: number, options: ReadOptions = {}): AsyncGenerator<Buffer> {
    if (options.follow !== true) return yield* this.#read(from, options, undefined);
    this.#followers++;
    try {
      yield* this.#read(from, options, new Pace());
    } finally {
      this.#followers--;
    }
  }

  async *#read(from: number, options: ReadOptions, pace: Pace | undefined): AsyncGenerator<Buffer> {
    const { follow = false, signal, maxBehind } = options;
    let { seq, offset } = await this.#find(Math.max(1, from), signal);
    while (!signal?.aborted) {
      const { sizeBytes, seq: last } = this.#end;
      if (offset >= sizeBytes) {
        if (!follow || this.#isEnded) return;
        await this.#changed(signal);
        continue;
      }
      if (pace !== undefined && (await this.#waitFor(pace, signal))) continue;
      if (maxBehind !== undefined && sizeBytes - offset > maxBehind) {
        const near = await this.#find(this.#seqNear(sizeBytes - maxBehind / 2, last), signal);
        if (near.seq > seq) {
          options.onSkip?.(seq, near.seq - 1);
          ({ seq, offset } = near);
        }
      }
      const bytes = await this.#readAt(offset, Math.min(READ_BYTES, sizeBytes - offset));
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      const lines = end > 0 ? bytes.subarray(0, end) : await this.#longLine(offset);
      // Somebody has cut the file: there is nothing to wait for.
      if (lines.at(-1) !== NEWLINE) return;
      seq += countLines(lines);
      offset += lines.length;
      pace?.spend(lines.length);
      yield lines;
    }
  }

  #noteIndex(lines: readonly Buffer[]): void {
    const last = this.#index.at(-1) as { seq: number; offset: number }; // never empty
    let { sizeBytes: offset, seq } = this.#end;
    // Only a reader fills what an earlier daemon has written.
    const isGapless = last.seq + INDEX_EVERY > seq;
    for (const line of lines) {
      seq++;
      if (isGapless && seq % INDEX_EVERY === 1 && seq > 1) this.#index.push({ seq, offset });
      offset += line.length;
    }
  }

  #seqNear(offset: number, last: number): number {
    const at = this.#index.findLastIndex((entry) => entry.offset <= offset);
    return this.#index[at + 1]?.seq ?? last;
  }

  /** Where an event begins; the end of the log for one that has not come. */
  async #find(wanted: number, signal: AbortSignal | undefined): Promise<{ seq: number; offset: number }> {
    if (wanted > this.#end.seq) return { seq: this.#end.seq + 1, offset: this.#end.sizeBytes };
    const known = this.#index.findLastIndex((entry) => entry.seq <= wanted);
    let { seq, offset } = this.#index[known] as { seq: number; offset: number }; // the first is 1
    // A log that somebody has changed may have fewer lines than its last one says.
    while (seq < wanted && offset < this.#end.sizeBytes && !signal?.aborted) {
      const bytes = await this.#readAt(offset, Math.min(READ_BYTES, this.#end.sizeBytes - offset));
      let at = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0 && seq < wanted; end = bytes.indexOf(NEWLINE, at)) {
        at = end + 1;
        seq++;
        this.#noteFound(seq, offset + at);
      }
      // A line that is longer than what is read at once.
      if (at === 0) at = await this.#lineLength(offset);
      if (at > bytes.length) this.#noteFound(++seq, offset + at);
      offset += at;
    }
    return { seq, offset };
  }

  #noteFound(seq: number, offset: number): void {
    if (seq % INDEX_EVERY === 1 && seq > (this.#index.at(-1)?.seq ?? 0)) this.#index.push({ seq, offset });
  }

  /** A line that is longer than what is read at once: of megabytes, if its guest wants it so, and the same for all who are at it. */
  #longLine(offset: number): Promise<Buffer> {
    if (this.#long?.offset !== offset) {
      const line = this.#lineLength(offset).then((length) => this.#readAt(offset, length));
      this.#long = { offset, line };
      line.catch(() => {
        this.#long = undefined;
      });
    }
    return this.#long.line;
  }

  async #lineLength(offset: number): Promise<number> {
    for (let length = 0; ; length += READ_BYTES) {
      const bytes = await this.#readAt(offset + length, READ_BYTES);
      const end = bytes.indexOf(NEWLINE);
      if (end >= 0) return length + end + 1;
      if (bytes.length === 0) return length;
    }
  }

  async #readAt(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, offset);
    return bytes.subarray(0, bytesRead);
  }

  /** Returns whether there was something to wait for; it waits for a while only, since the rate may change. */
  async #waitFor(pace: Pace, signal: AbortSignal | undefined): Promise<boolean> {
    const isGrowing = performance.now() - this.#grewAtMs < REST_MS;
    const waitMs = pace.waitMs((isGrowing ? GROWING_RATE : RESTING_RATE) / this.#followers);
    if (waitMs > 0) await sleep(Math.min(waitMs, REST_MS), undefined, { ...(signal && { signal }) }).catch(() => {});
    return waitMs > 0;
  }

  #changed(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** The last event that has a position. What is behind it is half a write. */
async function readEnd(file: FileHandle): Promise<LogEnd> {
  const { size } = await file.stat();
  let window = READ_BYTES;
  for (;;) {
    const start = Math.max(0, size - window);
    const bytes = Buffer.alloc(size - start);
    await file.read(bytes, 0, bytes.length, start);
    // Searched backwards: each candidate is a whole line of which both ends are known.
    let end = bytes.lastIndexOf(NEWLINE);
    while (end > 0) {
      const before = bytes.lastIndexOf(NEWLINE, end - 1);
      if (before < 0 && start > 0) break;
      const stored = parseStored(bytes.subarray(before + 1, end));
      if (stored?.position !== undefined)
        return { seq: stored.seq, sizeBytes: start + end + 1, position: stored.position };
      end = before;
    }
    if (start === 0) return { seq: 0, sizeBytes: 0, position: OUTPUT_START };
    window *= 4;
  }
}

function parseStored(line: Buffer): Stored | undefined {
  try {
    const stored = JSON.parse(line.toString("utf8")) as Partial<Stored> | null;
    const { seq, position } = stored ?? {};
    const counts = [seq, position?.offset, position?.stdout, position?.stderr];
    // A disk, or somebody, may have made anything of it.
    return counts.every((each) => Number.isSafeInteger(each) && (each as number) >= 0) ? (stored as Stored) : undefined;
  } catch {
    return undefined;
  }
}
