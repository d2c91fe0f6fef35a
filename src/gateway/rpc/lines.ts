/** A line of more is of no MCP message that anybody could use, and would be memory of the daemon's. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Kept of each end of a line that is too long: it may say what it was to be. */
const EDGE_BYTES = 1_024;
const SMALL_BYTES = 1_024;
const MAX_SMALL = 256;

/** Cuts a server's output into lines. Holds at most one line; of a longer one than allowed no more than its ends. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: Buffer) => void;
  readonly #onTooLong: (edges: Buffer) => void;
  #pieces: Buffer[] = [];
  #small: Buffer[] = [];
  #bytes = 0;
  /** The beginning of a line that is too long, and the latest of it. */
  #skipped: { head: Buffer; tail: Buffer } | undefined;

  constructor(options: { onLine: (line: Buffer) => void; onTooLong: (edges: Buffer) => void; maxBytes?: number }) {
    this.#onLine = options.onLine;
    this.#onTooLong = options.onTooLong;
    this.#maxBytes = options.maxBytes ?? MAX_LINE_BYTES;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#add(rest.subarray(0, end));
      this.#finish();
      rest = rest.subarray(end + 1);
    }
    this.#add(rest);
  }

  /** What is held of a line whose end has not come is forgotten. */
  reset(): void {
    this.#pieces = [];
    this.#small = [];
    this.#bytes = 0;
    this.#skipped = undefined;
  }

  #add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#skipped !== undefined) this.#skipped.tail = lastOf(this.#skipped.tail, piece);
    else if (this.#bytes > this.#maxBytes) {
      this.#mergeSmall();
      const whole = Buffer.concat([...this.#pieces, piece]);
      // Copies: a view would hold all of it.
      this.#skipped = { head: Buffer.from(whole.subarray(0, EDGE_BYTES)), tail: lastOf(whole) };
      this.#pieces = [];
    } else this.#keep(piece);
  }

  /** A line may come byte by byte, each in a chunk of its own: small pieces are copied together, so that they cost what they hold. */
  #keep(piece: Buffer): void {
    if (piece.length >= SMALL_BYTES) {
      this.#mergeSmall();
      this.#pieces.push(piece);
      return;
    }
    this.#small.push(Buffer.from(piece));
    if (this.#small.length >= MAX_SMALL) this.#mergeSmall();
  }

  #mergeSmall(): void {
    if (this.#small.length > 0) this.#pieces.push(Buffer.concat(this.#small));
    this.#small = [];
  }

  #finish(): void {
    const skipped = this.#skipped;
    this.#mergeSmall();
    const line = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    this.reset();
    if (skipped !== undefined) this.#onTooLong(Buffer.concat([skipped.head, skipped.tail]));
    else if (line.length > 0) this.#onLine(line);
  }
}

function lastOf(...pieces: Buffer[]): Buffer {
  return Buffer.from(Buffer.concat(pieces.map((piece) => piece.subarray(-EDGE_BYTES))).subarray(-EDGE_BYTES));
}
