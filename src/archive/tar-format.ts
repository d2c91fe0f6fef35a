import { FirebreakError } from "../errors/firebreak-error.ts";

/** What every reader and writer of tars needs, whatever it makes of the members (ustar, GNU and pax; tar(5)). */

export const BLOCK_BYTES = 512;

/** What ends a tar. */
export const TAR_END = Buffer.alloc(2 * BLOCK_BYTES);

/** A member's head. Texts hold one byte per character (latin1): names in an archive are bytes, in no known encoding. */
export interface TarHeader {
  /** The type flag as it stands there. */
  kind: string;
  path: string;
  linkTarget: string;
  sizeBytes: number;
  mode: number;
  uid: number;
  gid: number;
  mtimeSeconds: number;
  deviceMajor: number;
  deviceMinor: number;
}

export function invalidArchive(why: string, details?: Record<string, unknown>): FirebreakError {
  return new FirebreakError(
    "ARCHIVE_INVALID",
    `the archive is refused: ${why}`,
    details === undefined ? {} : { details },
  );
}

/** Foreign text in a message: bounded, and printable. */
export function showText(text: string): string {
  return JSON.stringify(Buffer.from(text.slice(0, 200), "latin1").toString("utf8"));
}

/** Throws ARCHIVE_INVALID on a head whose check sum is wrong, or that has a number that is none. */
export function parseTarHeader(block: Buffer): TarHeader {
  checkSum(block);
  const text = (from: number, length: number) => untilNul(block.toString("latin1", from, from + length));
  // GNU's own format uses the prefix's place for something else.
  const isPosix = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? text(345, 155) : "";
  const name = text(0, 100);
  return {
    kind: block.toString("latin1", 156, 157),
    path: prefix === "" ? name : `${prefix}/${name}`,
    linkTarget: text(157, 100),
    sizeBytes: parseNumber(block, 124, 12),
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    mtimeSeconds: parseNumber(block, 136, 12, true),
    deviceMajor: parseNumber(block, 329, 8),
    deviceMinor: parseNumber(block, 337, 8),
  };
}

/** Records of the form "LENGTH KEY=VALUE\n" (pax(1)); LENGTH counts the whole record. Throws ARCHIVE_INVALID. */
export function* parsePaxRecords(text: string): Generator<[key: string, value: string]> {
  for (let at = 0; at < text.length; ) {
    const match = /^(\d{1,7}) /.exec(text.slice(at, at + 9));
    const length = Number(match?.[1] ?? 0);
    const record = text.slice(at, at + length);
    const equals = record.indexOf("=");
    if (match === null || record.length !== length || !record.endsWith("\n") || equals < 0)
      throw invalidArchive("an extended header is malformed");
    yield [record.slice(match[0].length, equals), record.slice(equals + 1, -1)];
    at += length;
  }
}

export function untilNul(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** What a member's content is filled up with. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc(paddedBytes(sizeBytes) - sizeBytes);
}

export function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** The text of an extended head: a long name, or pax records. Throws ARCHIVE_INVALID when it is longer than `maxBytes`. */
export async function readTarMeta(reader: BlockReader, sizeBytes: number, maxBytes: number): Promise<string> {
  if (sizeBytes > maxBytes) throw invalidArchive(`a name or an extended header of ${sizeBytes} bytes`);
  return (await reader.read(paddedBytes(sizeBytes))).toString("latin1", 0, sizeBytes);
}

/** Octal text, or a big-endian number behind a byte of 0x80 (0xff: negative), as GNU tar writes what does not fit. */
function parseNumber(block: Buffer, from: number, length: number, maySigned = false): number {
  const first = block[from] ?? 0;
  if ((first & 0x80) !== 0) {
    const isNegative = first === 0xff;
    let value = isNegative ? -1n : BigInt(first & 0x7f);
    for (const byte of block.subarray(from + 1, from + length)) value = (value << 8n) | BigInt(byte);
    if ((isNegative && !maySigned) || value > BigInt(Number.MAX_SAFE_INTEGER) || value < -0xffff_ffff_ffffn)
      throw invalidArchive("a number in a header is out of range");
    return Number(value);
  }
  const text = block
    .toString("latin1", from, from + length)
    .replace(/[\0 ]+$/, "")
    .trimStart();
  if (text === "") return 0;
  if (!/^[0-7]+$/.test(text)) throw invalidArchive(`a number in a header is ${showText(text)}`);
  return Number.parseInt(text, 8);
}

function checkSum(block: Buffer): void {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    // The sum's own place counts as blanks.
    const byte = at >= 148 && at < 156 ? 32 : (block[at] as number);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const sum = parseNumber(block, 148, 8);
  if (sum !== unsigned && sum !== signed)
    throw invalidArchive("a header's check sum is wrong; it is no tar, or damaged");
}

/** A stream of chunks, read by number of bytes. */
export class BlockReader {
  readonly #iterator: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes that have been read. */
  position = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes. */
  async read(bytes: number): Promise<Buffer> {
    if (this.#chunk.length >= bytes) return this.#take(bytes);
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** At least one byte and at most so many. */
  async some(bytes: number): Promise<Buffer> {
    while (this.#chunk.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) throw invalidArchive("it is cut off");
      this.#chunk = next.value;
    }
    return this.#take(Math.min(bytes, this.#chunk.length));
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Reads to the end, so that whoever sends is not cut off, and a digest is of all. Throws ARCHIVE_INVALID on more than `maxBytes`. */
  async drain(maxBytes = Number.POSITIVE_INFINITY): Promise<void> {
    let drained = this.#chunk.length;
    this.#chunk = Buffer.alloc(0);
    while (drained <= maxBytes) {
      const next = await this.#iterator.next();
      if (next.done === true) return;
      drained += next.value.length;
    }
    throw invalidArchive("it goes on after its end");
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  #take(bytes: number): Buffer {
    const taken = this.#chunk.subarray(0, bytes);
    this.#chunk = this.#chunk.subarray(bytes);
    this.position += bytes;
    return taken;
  }
}
