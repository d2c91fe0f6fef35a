import { Transform, type TransformCallback } from "node:stream";
import { EMPTY_SHA256, isEqual, type Scope, scopeOf, sha256, signText } from "./aws-sigv4.ts";

/** Clients send 8 KiB to some 100 KiB in a chunk. */
const MAX_CHUNK_BYTES = 1024 * 1024;
const MAX_LINE_BYTES = 8 * 1024;
const MAX_TRAILER_LINES = 32;
const SIGNATURE = ";chunk-signature=";
const TRAILER_SIGNATURE = "x-amz-trailer-signature:";

/** A line of a trailer as it is signed. */
function trimmed(line: string): string {
  const colon = line.indexOf(":");
  return `${line.slice(0, colon).trim().toLowerCase()}:${line.slice(colon + 1).trim()}`;
}

/** A chain of signatures: each is of the one before. */
interface Chain {
  key: Buffer;
  signature: string;
}

export interface ChunkSignerOptions {
  scope: Scope;
  keyName: string;
  hasTrailer: boolean;
  /** What the guest has signed with. */
  guest: Chain;
  host: Chain;
}

/**
 * Signs the chunks of a body anew, each once it is whole and the guest's signature of it is in order. The form is that of "Signature calculations for the
 * Authorization header: Transferring payload in multiple chunks" (Amazon S3 API Reference); the length of a body stays.
 */
export class ChunkSigner extends Transform {
  readonly #options: ChunkSignerOptions;
  readonly #guest: Chain;
  readonly #host: Chain;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Bytes without which there is nothing to do. */
  #wanted = 1;
  #trailer: string[] | undefined;
  #isOver = false;

  constructor(options: ChunkSignerOptions) {
    super();
    this.#options = options;
    this.#guest = { ...options.guest };
    this.#host = { ...options.host };
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#pieces.push(piece);
    this.#held += piece.length;
    try {
      if (this.#held >= this.#wanted) this.#takeAll();
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  #takeAll(): void {
    let rest = Buffer.concat(this.#pieces);
    for (let taken = this.#take(rest); taken > 0; taken = this.#take(rest)) rest = rest.subarray(taken);
    this.#pieces = [rest];
    this.#held = rest.length;
  }

  override _flush(done: TransformCallback): void {
    done(this.#isOver && this.#held === 0 ? null : this.#problem("the body ends in the middle of its chunks"));
  }

  /** Signs what is whole at the beginning, and tells how long that was. */
  #take(bytes: Buffer): number {
    this.#wanted = bytes.length + 1;
    if (bytes.length === 0) return 0;
    if (this.#isOver) throw this.#problem("the body goes on after its last chunk");
    const end = bytes.indexOf("\r\n");
    if (end > MAX_LINE_BYTES || (end < 0 && bytes.length > MAX_LINE_BYTES)) throw this.#problem("a line is too long");
    if (end < 0) return 0;
    const line = bytes.toString("latin1", 0, end);
    if (this.#trailer !== undefined) return this.#takeTrailer(line, this.#trailer);
    const [, hex, signature] = /^([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})$/.exec(line) ?? [];
    if (hex === undefined || signature === undefined) throw this.#problem("a chunk has no length and signature");
    const size = Number.parseInt(hex, 16);
    if (size > MAX_CHUNK_BYTES) throw this.#problem(`a chunk has more than ${MAX_CHUNK_BYTES} bytes`);
    const begin = end + 2;
    // Of the last one, the trailer comes in the place of its data.
    const whole = size === 0 && this.#options.hasTrailer ? begin : begin + size + 2;
    if (bytes.length < whole) {
      this.#wanted = whole;
      return 0;
    }
    const data = bytes.subarray(begin, begin + size);
    if (whole > begin && bytes.toString("latin1", whole - 2, whole) !== "\r\n")
      throw this.#problem("a chunk is longer than it says");
    this.#sign("AWS4-HMAC-SHA256-PAYLOAD", [EMPTY_SHA256, sha256(data)], signature);
    this.push(
      Buffer.concat([Buffer.from(`${hex}${SIGNATURE}${this.#host.signature}\r\n`), bytes.subarray(begin, whole)]),
    );
    if (size === 0) {
      if (this.#options.hasTrailer) this.#trailer = [];
      else this.#isOver = true;
    }
    return whole;
  }

  #takeTrailer(line: string, lines: string[]): number {
    const taken = line.length + 2;
    if (line === "") {
      if (lines.at(-1)?.startsWith(TRAILER_SIGNATURE) !== true) throw this.#problem("its trailer has no signature");
      this.#isOver = true;
      this.push("\r\n");
    } else if (line.startsWith(TRAILER_SIGNATURE)) {
      const text = lines.map((each) => `${trimmed(each)}\n`).join("");
      this.#sign("AWS4-HMAC-SHA256-TRAILER", [sha256(text)], line.slice(TRAILER_SIGNATURE.length).trim());
      this.push(`${TRAILER_SIGNATURE}${this.#host.signature}\r\n`);
      lines.push(line);
    } else {
      if (lines.length >= MAX_TRAILER_LINES || lines.at(-1)?.startsWith(TRAILER_SIGNATURE))
        throw this.#problem("its trailer goes on");
      lines.push(line);
      this.push(`${line}\r\n`, "latin1");
    }
    return taken;
  }

  #sign(algorithm: string, hashes: string[], given: string): void {
    const { scope } = this.#options;
    const next = ({ key, signature }: Chain) =>
      signText(key, [algorithm, scope.time, scopeOf(scope), signature, ...hashes].join("\n"));
    const expected = next(this.#guest);
    if (!isEqual(given, expected)) throw this.#problem("the signature of a chunk is not of its placeholder");
    this.#guest.signature = expected;
    this.#host.signature = next(this.#host);
  }

  #problem(why: string): Error {
    return new Error(`not signed with the key ${this.#options.keyName}: ${why}`);
  }
}
