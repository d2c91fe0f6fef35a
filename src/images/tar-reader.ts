import { FirebreakError } from "../errors/firebreak-error.ts";

export type TarEntryType = "file" | "directory" | "symlink" | "link" | "character" | "block" | "fifo";

/** One member of a tar. Texts hold one byte per character (latin1): names in an archive are bytes, in no known encoding. */
export interface TarEntry {
  path: string;
  type: TarEntryType;
  /** Of a symbolic link, whatever it says; of a hard link, a path in the archive. */
  linkTarget: string;
  sizeBytes: number;
  mode: number;
  uid: number;
  gid: number;
  mtimeSeconds: number;
  deviceMajor: number;
  deviceMinor: number;
  /** Extended attributes, by name. */
  xattrs: ReadonlyMap<string, string>;
  /** Where its content begins in the stream. */
  offset: number;
}

export interface TarMember {
  entry: TarEntry;
  /** The content. What is not read of it is passed over. */
  content: () => AsyncGenerator<Buffer>;
}

export const BLOCK_BYTES = 512;
const MAX_META_BYTES = 1024 * 1024;
const MAX_PATH_BYTES = 4096;
const XATTR_PREFIX = "SCHILY.xattr.";

const TYPES: Record<string, TarEntryType> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/**
 * Reads a tar (ustar, GNU or pax) as a stream, strictly: a member that is malformed, of a kind that no file system has, or cut off is
 * ARCHIVE_INVALID. Paths are as the archive has them; what they may be is for the caller to judge. What follows the end is read and ignored.
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarMember> {
  const reader = new BlockReader(source);
  try {
    yield* readMembers(reader);
  } finally {
    // Whoever has had enough, or an archive that is refused, must not leave a file open.
    await reader.close();
  }
}

async function* readMembers(reader: BlockReader): AsyncGenerator<TarMember> {
  let next: Overrides = {};
  for (;;) {
    const block = await reader.read(BLOCK_BYTES);
    if (isZero(block)) break;
    const header = parseHeader(block);
    if (header.kind === "x" || header.kind === "g" || header.kind === "L" || header.kind === "K") {
      const text = await readMeta(reader, header.sizeBytes);
      if (header.kind === "x") applyPax(text, next);
      else if (header.kind === "g") applyPax(text, {});
      else if (header.kind === "L") next.path = cut(text);
      else next.linkTarget = cut(text);
      continue;
    }
    // The volume's label: nothing that a file system could hold.
    if (header.kind === "V") {
      await reader.skip(padded(header.sizeBytes));
      continue;
    }
    const entry = toEntry(header, next, reader.position);
    next = {};
    let left = entry.sizeBytes;
    const content = async function* () {
      while (left > 0) {
        const chunk = await reader.some(left);
        left -= chunk.length;
        yield chunk;
      }
    };
    yield { entry, content };
    await reader.skip(left + padded(entry.sizeBytes) - entry.sizeBytes);
  }
  await reader.drain();
}

interface Header {
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

interface Overrides {
  path?: string;
  linkTarget?: string;
  sizeBytes?: number;
  uid?: number;
  gid?: number;
  mtimeSeconds?: number;
  xattrs?: Map<string, string>;
}

/** Most have none, and there are many: one for all of them. */
const NO_XATTRS: ReadonlyMap<string, string> = new Map();

function parseHeader(block: Buffer): Header {
  checkSum(block);
  const text = (from: number, length: number) => cut(block.toString("latin1", from, from + length));
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

function toEntry(header: Header, given: Overrides, offset: number): TarEntry {
  let type = TYPES[header.kind];
  const path = given.path ?? header.path;
  if (type === undefined) {
    throw invalid(`${show(path)} is of a kind (${show(header.kind)}) that is not supported`);
  }
  // As before there was a type for directories.
  if (type === "file" && header.kind === "\0" && path.endsWith("/")) type = "directory";
  const linkTarget = given.linkTarget ?? header.linkTarget;
  for (const name of [path, linkTarget]) {
    if (name.includes("\0")) throw invalid("a name holds a NUL");
    if (name.length > MAX_PATH_BYTES) throw invalid(`a name has more than ${MAX_PATH_BYTES} bytes`);
  }
  const hasLink = type === "symlink" || type === "link";
  if (hasLink && linkTarget === "") throw invalid(`${show(path)} links to nothing`);
  return {
    path,
    type,
    linkTarget: hasLink ? linkTarget : "",
    // As other readers have it: only files have content, whatever the header says.
    sizeBytes: type === "file" ? (given.sizeBytes ?? header.sizeBytes) : 0,
    mode: header.mode & 0o7777,
    uid: checkId(given.uid ?? header.uid),
    gid: checkId(given.gid ?? header.gid),
    mtimeSeconds: given.mtimeSeconds ?? header.mtimeSeconds,
    deviceMajor: header.deviceMajor,
    deviceMinor: header.deviceMinor,
    xattrs: given.xattrs ?? NO_XATTRS,
    offset,
  };
}

/** -1 means "unchanged" to the kernel, so it is no id. */
function checkId(id: number): number {
  if (id >= 0 && id < 0xffff_ffff) return id;
  throw invalid(`${id} is no user or group id`);
}

async function readMeta(reader: BlockReader, sizeBytes: number): Promise<string> {
  if (sizeBytes > MAX_META_BYTES) throw invalid(`a member's extended header has ${sizeBytes} bytes`);
  const bytes = await reader.read(padded(sizeBytes));
  return bytes.toString("latin1", 0, sizeBytes);
}

/** Records of the form "LENGTH KEY=VALUE\n" (pax(1)); LENGTH counts the whole record. */
function applyPax(text: string, target: Overrides): void {
  let at = 0;
  while (at < text.length) {
    const match = /^(\d{1,7}) /.exec(text.slice(at, at + 9));
    const length = Number(match?.[1] ?? 0);
    const record = text.slice(at, at + length);
    const equals = record.indexOf("=");
    if (match === null || record.length !== length || !record.endsWith("\n") || equals < 0)
      throw invalid("an extended header is malformed");
    applyRecord(record.slice(match[0].length, equals), record.slice(equals + 1, -1), target);
    at += length;
  }
}

function applyRecord(key: string, value: string, target: Overrides): void {
  if (key.startsWith("GNU.sparse.")) throw invalid("a member is a sparse file; pack it without --sparse");
  if (key === "path") target.path = value;
  else if (key === "linkpath") target.linkTarget = value;
  else if (key === "size") target.sizeBytes = parseDecimal(key, value);
  else if (key === "uid") target.uid = parseDecimal(key, value);
  else if (key === "gid") target.gid = parseDecimal(key, value);
  else if (key === "mtime") target.mtimeSeconds = parseTime(value);
  else if (key.startsWith(XATTR_PREFIX)) {
    target.xattrs ??= new Map();
    target.xattrs.set(key.slice(XATTR_PREFIX.length), value);
  }
}

function parseDecimal(key: string, value: string): number {
  const number = Number(value);
  if (/^\d{1,16}$/.test(value) && Number.isSafeInteger(number)) return number;
  throw invalid(`an extended header's ${key} is ${show(value)}`);
}

function parseTime(value: string): number {
  if (!/^-?\d{1,16}(\.\d{1,30})?$/.test(value)) throw invalid(`an extended header's mtime is ${show(value)}`);
  return Math.floor(Number(value));
}

/** Octal text, or a big-endian number behind a byte of 0x80 (0xff: negative), as GNU tar writes what does not fit. */
function parseNumber(block: Buffer, from: number, length: number, maySigned = false): number {
  const first = block[from] ?? 0;
  if ((first & 0x80) !== 0) {
    const isNegative = first === 0xff;
    let value = isNegative ? -1n : BigInt(first & 0x7f);
    for (const byte of block.subarray(from + 1, from + length)) value = (value << 8n) | BigInt(byte);
    if ((isNegative && !maySigned) || value > BigInt(Number.MAX_SAFE_INTEGER) || value < -0xffff_ffff_ffffn)
      throw invalid("a number in a header is out of range");
    return Number(value);
  }
  const text = block
    .toString("latin1", from, from + length)
    .replace(/[\0 ]+$/, "")
    .trimStart();
  if (text === "") return 0;
  if (!/^[0-7]+$/.test(text)) throw invalid(`a number in a header is ${show(text)}`);
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
  if (sum !== unsigned && sum !== signed) throw invalid("a header's check sum is wrong; it is no tar, or damaged");
}

function cut(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Foreign text in a message: bounded, and printable. */
export function show(text: string): string {
  return JSON.stringify(Buffer.from(text.slice(0, 200), "latin1").toString("utf8"));
}

export function invalid(why: string, details?: Record<string, unknown>): FirebreakError {
  return new FirebreakError(
    "ARCHIVE_INVALID",
    `the archive is refused: ${why}`,
    details === undefined ? {} : { details },
  );
}

/** A stream of chunks, read by number of bytes. */
class BlockReader {
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
      if (next.done === true) throw invalid("it ends too early");
      this.#chunk = next.value;
    }
    return this.#take(Math.min(bytes, this.#chunk.length));
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Whoever checks the stream's digest wants it read to its end. */
  async drain(): Promise<void> {
    this.#chunk = Buffer.alloc(0);
    while ((await this.#iterator.next()).done !== true);
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
