import type { KeyObject } from "node:crypto";
import { mkdirSync } from "node:fs";
import type { AuditCall, AuditEntry, AuditNote } from "../contract/audit.ts";
import { type ChainPoint, chain, MAX_LINE_BYTES, readLine } from "./entry.ts";
import { readLines } from "./lines.ts";
import { recover } from "./recover.ts";
import { findExpired, type Retention, removeSegments, segmentBounds } from "./retention.ts";
import { type OpenSegment, openSegment, type SegmentFile } from "./segment-file.ts";
import { segmentPath } from "./segments.ts";

/** Where a log keeps how far it has come, outside of its own files. */
export interface HeadStore {
  get(): ChainPoint | undefined;
  set(head: ChainPoint): void;
}

export interface AuditLogOptions {
  folder: string;
  /** Of the chain's HMAC. */
  key: KeyObject;
  head: HeadStore;
  maxSegmentBytes?: number;
  /** How long entries may wait to be written, ms: what a crash of this process loses. */
  writeMs?: number;
  /** How long what is written may wait for the disk, ms: what a crash of the host loses. */
  syncMs?: number;
  now?: () => Date;
  /** How much is kept, as it is now; without it all is. */
  retention?: () => Retention;
  /** Hears of a file that is begun: others may have to go. */
  onRotated?: () => void;
  open?: OpenSegment;
  /** Hears of the first failure to write, and of the end of failing. */
  onState?: (failure: Error | undefined) => void;
}

const SEGMENT_BYTES = 32 * 1024 * 1024;
const WRITE_MS = 20;
const SYNC_MS = 250;
/** So much is written at once, whatever the time. */
const GROUP_BYTES = 256 * 1024;
/** What waits for a disk that is full; what comes on top of it is counted, not kept. */
const MAX_WAITING_BYTES = 1024 * 1024;
const RETRY_MS = 1_000;

/**
 * Appends entries to the chain. They are written in groups: a crash loses at most the last one, and never breaks the chain. What cannot be written waits
 * within a bound, and what is lost beyond it is an entry of its own once there is space.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #open: OpenSegment;
  readonly #listeners = new Set<() => void>();
  #segment: SegmentFile | undefined;
  /** When the first entry of the segment was made. */
  #segmentBeganMs = Number.POSITIVE_INFINITY;
  /** Of the last entry that was made, whether or not it is written. */
  #point: ChainPoint;
  /** Of the last one that is written. */
  #written: ChainPoint;
  #waiting: { line: Buffer; point: ChainPoint }[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #failure: Error | undefined;
  #writeTimer: NodeJS.Timeout | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(options: AuditLogOptions, segment: SegmentFile | undefined, point: ChainPoint) {
    this.#options = options;
    this.#open = options.open ?? openSegment;
    this.#segment = segment;
    this.#point = point;
    this.#written = point;
  }

  /** Goes on where the log ends, with a note of what was found there. One log of a folder at a time. */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const { segment, point, notes } = await recover(
      options.folder,
      options.key,
      options.head.get(),
      options.open ?? openSegment,
    );
    const log = new AuditLog(options, segment, point);
    if (segment !== undefined)
      for await (const { bytes } of readLines(segment.file)) {
        log.#segmentBeganMs = Date.parse(readLine(bytes)?.at ?? "");
        break;
      }
    for (const note of notes) log.#append({ note });
    return log;
  }

  /**
   * Removes the oldest files, as the retention says. A note of what goes is on the disk before anything does: by that `verify` tells it from a cut. Returns the
   * number of files that have gone.
   */
  async thin(): Promise<number> {
    const { folder, key, retention, now = () => new Date() } = this.#options;
    const wanted = retention?.() ?? {};
    if (this.#isClosed || (wanted.keepMs === undefined && wanted.maxBytes === undefined)) return 0;
    const expired = await findExpired(folder, key, wanted, now().getTime());
    if (expired === undefined || expired.files.some((file) => file === this.#segment?.file)) return 0;
    const { seq: to, hash: lastHash } = expired.last;
    const note = this.#append({ note: { what: "entries_removed", from: expired.firstSeq, to, lastHash } });
    await this.flush();
    if (note === undefined || this.#written.seq < note.seq) return 0;
    await removeSegments(expired.files);
    return expired.files.length;
  }

  /** Undefined when it could not be kept: the disk is full, and so is what may wait for it. */
  append(call: AuditCall): AuditEntry | undefined {
    if (this.#isClosed) return undefined;
    return this.#append(call);
  }

  /** Why nothing can be written at the moment. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Calls when entries have been written; returns what ends that. */
  onWritten(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All entries made so far are in the files, where a reader finds them; how much that is. */
  write(): { file: string; bytes: number } | undefined {
    this.#write();
    return this.#segment === undefined ? undefined : { file: this.#segment.file, bytes: this.#segment.sizeBytes };
  }

  /** All entries made so far are on the disk, and the head is theirs. */
  async flush(): Promise<void> {
    this.#write();
    await this.#sync();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush().catch(() => {});
    clearTimeout(this.#writeTimer);
    clearTimeout(this.#syncTimer);
    this.#segment?.close();
    this.#segment = undefined;
  }

  #append(content: AuditCall | { note: AuditNote }): AuditEntry | undefined {
    const { key, now = () => new Date() } = this.#options;
    const { entry, line: text } = chain(key, this.#point, now().toISOString(), content);
    const line = Buffer.from(text);
    if (line.length > MAX_LINE_BYTES || this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      // It takes no place in the chain: what follows follows on the entry before it.
      this.#lost++;
      return undefined;
    }
    this.#point = { seq: entry.seq, hash: entry.hash };
    this.#waiting.push({ line, point: this.#point });
    this.#waitingBytes += line.length;
    if (this.#waitingBytes >= GROUP_BYTES && this.#failure === undefined) this.#write();
    else this.#writeTimer ??= setTimeout(() => this.#write(), this.#options.writeMs ?? WRITE_MS);
    return entry;
  }

  #write(): void {
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
    if (this.#waiting.length === 0) return;
    try {
      while (this.#waiting.length > 0) this.#writeGroup();
      this.#waitingBytes = 0;
      this.#setFailure(undefined);
      if (this.#lost > 0) this.#noteLost();
      // Not where nothing could be written: whoever follows would read, and thereby try to write, again and again.
      for (const listener of this.#listeners) listener();
    } catch (error) {
      this.#setFailure(error as Error);
      if (!this.#isClosed) this.#writeTimer = setTimeout(() => this.#write(), RETRY_MS);
    }
    this.#syncTimer ??= setTimeout(() => void this.#sync().catch(() => {}), this.#options.syncMs ?? SYNC_MS);
  }

  /** As many as the segment takes. */
  #writeGroup(): void {
    const { retention, maxSegmentBytes = SEGMENT_BYTES, now = () => new Date() } = this.#options;
    const { bytes: most, ms } = segmentBounds(retention?.() ?? {}, maxSegmentBytes);
    const [first] = this.#waiting;
    if (first === undefined) return;
    if (
      this.#segment === undefined ||
      (this.#segment.sizeBytes > 0 &&
        (this.#segment.sizeBytes + first.line.length > most || now().getTime() - this.#segmentBeganMs > ms))
    )
      this.#rotate(first.point.seq, now().getTime());
    const segment = this.#segment as SegmentFile;
    let [count, bytes] = [1, first.line.length];
    for (const { line } of this.#waiting.slice(1)) {
      if (segment.sizeBytes + bytes + line.length > most) break;
      count++;
      bytes += line.length;
    }
    segment.write(Buffer.concat(this.#waiting.slice(0, count).map(({ line }) => line)));
    const written = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    this.#written = written.at(-1)?.point ?? this.#written;
  }

  #rotate(firstSeq: number, nowMs: number): void {
    const next = this.#open(segmentPath(this.#options.folder, firstSeq));
    this.#segment?.close();
    this.#segment = next;
    this.#segmentBeganMs = nowMs;
    this.#options.onRotated?.();
  }

  #noteLost(): void {
    const count = this.#lost;
    this.#lost = 0;
    if (this.#append({ note: { what: "entries_lost", count } }) === undefined) this.#lost += count - 1;
  }

  #setFailure(failure: Error | undefined): void {
    const hadFailed = this.#failure !== undefined;
    this.#failure = failure;
    if (hadFailed !== (failure !== undefined)) this.#options.onState?.(failure);
  }

  /** One after the other: the head never goes back. */
  #sync(): Promise<void> {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    this.#syncing = this.#syncing
      .catch(() => {})
      .then(async () => {
        const { head } = this.#options;
        const [written, segment] = [this.#written, this.#segment];
        if (segment === undefined || head.get()?.seq === written.seq) return;
        // A segment that has been rotated away meanwhile was synced as it was closed.
        await segment.sync().catch((error: NodeJS.ErrnoException) => {
          if (segment === this.#segment) throw error;
        });
        head.set(written);
      });
    return this.#syncing;
  }
}
