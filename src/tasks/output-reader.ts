import type { AgentEvent } from "../contract/task-event.ts";
import type { AgentReader } from "./agents/agent.ts";

export type OutputStream = "stdout" | "stderr";

/**
 * How far a command's output is in the log: all bytes before `offset` (of both streams, as the guest counts them), and from there on the first so
 * many of either stream.
 */
export interface OutputPosition {
  offset: number;
  stdout: number;
  stderr: number;
}

export const OUTPUT_START: OutputPosition = { offset: 0, stdout: 0, stderr: 0 };

export type ReadEvent = AgentEvent & { raw?: string };

/** A line that is longer is shown in pieces and is no event of an agent's. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** Text of one `output` event, bytes. */
const MAX_OUTPUT_BYTES = 64 * 1024;
const NEWLINE = 10;
/** Pieces of a line that wait to be put together. */
const MAX_PIECES = 1_000;

interface Pending {
  pieces: Buffer[];
  bytes: number;
  /** Whether a line may have come whole since the last look. */
  hasNewline: boolean;
  /** Whether the rest of a line that was too long is under way. */
  isLong: boolean;
}

/** Makes events of a command's output, and says after each how much of it they hold, so that another daemon can go on behind them. */
export class OutputReader {
  readonly #reader: AgentReader | undefined;
  readonly #pending: Record<OutputStream, Pending> = { stdout: empty(), stderr: empty() };
  /** What has come since `#offset`, in order. */
  readonly #chunks: { stream: OutputStream; length: number }[] = [];
  /** Of what has come since `#offset`. */
  readonly #logged: Record<OutputStream, number>;
  readonly #skip: Record<OutputStream, number>;
  #offset: number;

  /** Without a reader all output is shown as it is. */
  constructor(reader: AgentReader | undefined, from: OutputPosition = OUTPUT_START) {
    this.#reader = reader;
    this.#offset = from.offset;
    this.#skip = { stdout: from.stdout, stderr: from.stderr };
    this.#logged = { stdout: from.stdout, stderr: from.stderr };
  }

  /** Bytes that have come and are in no event yet. */
  get pendingBytes(): number {
    return this.#pending.stdout.bytes + this.#pending.stderr.bytes;
  }

  push(stream: OutputStream, bytes: Buffer): void {
    const last = this.#chunks.at(-1);
    if (last?.stream === stream) last.length += bytes.length;
    else this.#chunks.push({ stream, length: bytes.length });
    const known = Math.min(this.#skip[stream], bytes.length);
    this.#skip[stream] -= known;
    if (known === bytes.length) return;
    const pending = this.#pending[stream];
    pending.pieces.push(known === 0 ? bytes : bytes.subarray(known));
    pending.bytes += bytes.length - known;
    if (bytes.includes(NEWLINE, known)) pending.hasNewline = true;
  }

  /** Output that the guest no longer has, between what has come and what will. */
  skip(bytes: number): ReadEvent[] {
    const events = this.take(true);
    this.#settle();
    this.#offset += this.#chunks.reduce((sum, { length }) => sum + length, 0) + bytes;
    this.#chunks.length = 0;
    this.#logged.stdout = 0;
    this.#logged.stderr = 0;
    return events;
  }

  /**
   * Events of the whole lines that have come. With `all`, of what is behind the last line's end, too, but for half a character; at the output's end nothing
   * more of it is to be waited for.
   */
  take(all = false, isEnd = all): ReadEvent[] {
    return [...this.#takeStream("stdout", all, isEnd), ...this.#takeStream("stderr", all, isEnd)];
  }

  /** What the events so far hold. */
  get position(): OutputPosition {
    this.#settle();
    return { offset: this.#offset, ...this.#logged };
  }

  #takeStream(stream: OutputStream, all: boolean, isEnd: boolean): ReadEvent[] {
    const pending = this.#pending[stream];
    if (pending.bytes === 0) return [];
    const isEvents = stream === "stdout" && this.#reader !== undefined;
    // A long line is not put together and searched anew for each piece of it.
    const isWaiting = isEvents && !all && !pending.hasNewline && !pending.isLong && pending.bytes <= MAX_LINE_BYTES;
    if (isWaiting && pending.pieces.length < MAX_PIECES) return [];
    pending.hasNewline = false;
    const bytes = pending.pieces.length === 1 ? (pending.pieces[0] as Buffer) : Buffer.concat(pending.pieces);
    const { events, taken } = isEvents ? this.#readLines(bytes, pending, all) : readOutput(stream, bytes, all, isEnd);
    const rest = bytes.subarray(taken);
    pending.pieces = rest.length === 0 ? [] : [rest];
    pending.bytes = rest.length;
    this.#logged[stream] += taken;
    return events;
  }

  #readLines(bytes: Buffer, pending: Pending, all: boolean): { events: ReadEvent[]; taken: number } {
    const events: ReadEvent[] = [];
    let at = 0;
    while (at < bytes.length) {
      const end = bytes.indexOf(NEWLINE, at);
      const isWhole = end >= 0;
      const length = (isWhole ? end : bytes.length) - at;
      if (pending.isLong || length > MAX_LINE_BYTES) {
        const stop = isWhole ? end + 1 : bytes.length;
        if (!pending.isLong)
          events.push({ type: "error", message: `a line of more than ${MAX_LINE_BYTES} bytes`, fatal: false });
        events.push(...readOutput("stdout", bytes.subarray(at, stop), true).events);
        pending.isLong = !isWhole;
        at = stop;
        continue;
      }
      if (!isWhole && !all) break;
      events.push(...this.#readLine(bytes.subarray(at, at + length)));
      at += length + (isWhole ? 1 : 0);
    }
    return { events, taken: at };
  }

  #readLine(line: Buffer): ReadEvent[] {
    const raw = line.toString("utf8").replace(/\r$/, "");
    if (raw.trim() === "") return [];
    const [first, ...rest] = (this.#reader as AgentReader).line(raw); // only asked for with one
    // A line that says nothing of what happens is kept all the same.
    if (first === undefined) return [{ type: "output", stream: "stdout", raw }];
    return [first.type === "output" ? first : { ...first, raw }, ...rest];
  }

  /** Moves `#offset` up to the first byte that is in no event. */
  #settle(): void {
    let done = 0;
    for (const first of this.#chunks) {
      const logged = Math.min(this.#logged[first.stream], first.length);
      this.#logged[first.stream] -= logged;
      this.#offset += logged;
      first.length -= logged;
      if (first.length > 0) break;
      done++;
    }
    if (done > 0) this.#chunks.splice(0, done);
  }
}

function empty(): Pending {
  return { pieces: [], bytes: 0, hasNewline: false, isLong: false };
}

/** Whole lines, several to an event; what is behind the last one's end with `all`, or when it has got long. */
function readOutput(
  stream: OutputStream,
  bytes: Buffer,
  all: boolean,
  isEnd = all,
): { events: ReadEvent[]; taken: number } {
  const events: ReadEvent[] = [];
  let at = 0;
  while (at < bytes.length) {
    const limit = Math.min(bytes.length, at + MAX_OUTPUT_BYTES);
    const newline = bytes.lastIndexOf(NEWLINE, limit - 1);
    let end = newline >= at ? newline + 1 : limit;
    if (newline < at && limit === bytes.length && !all) break;
    if (newline < at) end -= unfinishedCharacter(bytes.subarray(at, end));
    // Nothing but the beginning of a character: only the end of the output makes that an event.
    if (end === at) {
      if (!isEnd) break;
      end = limit;
    }
    events.push({ type: "output", stream, ...textOf(bytes.subarray(at, end)) });
    at = end;
  }
  return { events, taken: at };
}

/** How many bytes at the end are the beginning of a character of UTF-8 (RFC 3629 §3). */
function unfinishedCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number; // within its length
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer): { text: string } | { base64: string } {
  try {
    return { text: strict.decode(bytes) };
  } catch {
    return { base64: bytes.toString("base64") };
  }
}
