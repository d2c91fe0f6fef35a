/** A line of more is of no MCP message that anybody could use, and would be memory of the daemon's. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Cuts a server's output into lines. Holds at most one line; a longer one than allowed is told of and skipped to its end. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: Buffer) => void;
  readonly #onTooLong: () => void;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isSkipping = false;

  constructor(options: { onLine: (line: Buffer) => void; onTooLong: () => void; maxBytes?: number }) {
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
    this.#bytes = 0;
    this.#isSkipping = false;
  }

  #add(piece: Buffer): void {
    if (this.#isSkipping || piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#bytes > this.#maxBytes) {
      this.#pieces = [];
      this.#isSkipping = true;
      this.#onTooLong();
    } else this.#pieces.push(piece);
  }

  #finish(): void {
    const wasSkipping = this.#isSkipping;
    const line = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    this.reset();
    if (!wasSkipping && line.length > 0) this.#onLine(line);
  }
}
