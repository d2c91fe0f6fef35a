import { FirebreakError } from "../errors/firebreak-error.ts";

/** What an archive may hold at most: it may be a hostile guest's. */
export interface ArchiveLimits {
  maxEntries: number;
  /** Of all files together. */
  maxBytes: number;
}

/** Well above what people copy, well below what fills a disk or a memory unnoticed. */
export const DEFAULT_LIMITS: ArchiveLimits = { maxEntries: 200_000, maxBytes: 16 * 1024 ** 3 };

export type TarEntryType = "file" | "directory" | "symlink" | "link" | "other";

export interface TarEntry {
  /** As the archive has it: not confined, and not always UTF-8. */
  path: Buffer;
  type: TarEntryType;
  /** Permission bits, setuid and its like left out. */
  mode: number;
  mtimeMs: number;
  sizeBytes: number;
  /** Of a symlink or a hard link. */
  target?: Buffer;
  /** The file's bytes. What is not read of them is passed over. */
  content: AsyncGenerator<Buffer>;
}

const BLOCK = 512;
/** Long names and pax records: the kernel takes paths of 4096 bytes. */
const MAX_META_BYTES = 64 * 1024;
/** What may follow the end marker: writers pad to their own block size. */
const MAX_PADDING_BYTES = 1024 * 1024;

const TYPES: Record<string, TarEntryType> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "5": "directory",
};

export function invalidArchive(why: string): FirebreakError {
  return new FirebreakError("ARCHIVE_INVALID", `the archive was refused: ${why}`);
}

/**
 * The entries of a tar stream (ustar, GNU long names, pax), with names byte for byte. Throws ARCHIVE_INVALID on what is no archive or is cut off, and
 * ARCHIVE_TOO_LARGE as soon as an entry's head announces more than `limits` allow.
 */
export async function* readTar(source: AsyncIterable<Buffer>, limits: ArchiveLimits): AsyncGenerator<TarEntry> {
  const bytes = new ByteSource(source);
  try {
    yield* readEntries(bytes, limits);
  } finally {
    await bytes.close();
  }
}

async function* readEntries(bytes: ByteSource, limits: ArchiveLimits): AsyncGenerator<TarEntry> {
  let entries = 0;
  let totalBytes = 0;
  let meta: Meta = {};
  for (;;) {
    const head = await bytes.take(BLOCK);
    if (head === undefined) throw invalidArchive("it is cut off");
    if (head.every((byte) => byte === 0)) break;
    checkSum(head);
    const flag = String.fromCharCode(head[156] as number); // a block has 512 bytes
    if (++entries > limits.maxEntries) throw tooLarge(`more than ${limits.maxEntries} entries`, limits);
    const ownSize = parseNumber(head, 124, 12);
    if (flag === "L" || flag === "K" || flag === "x" || flag === "g") {
      if (ownSize > MAX_META_BYTES) throw invalidArchive(`a name or record of ${ownSize} bytes`);
      const body = await bytes.takePadded(ownSize);
      if (flag === "L") meta = { ...meta, path: untilNul(body) };
      else if (flag === "K") meta = { ...meta, target: untilNul(body) };
      else if (flag === "x") meta = { ...meta, ...parsePax(body) };
      continue;
    }
    const rawPath = meta.path ?? headPath(head);
    const isFolder = flag === "5" || (TYPES[flag] === "file" && rawPath.at(-1) === 0x2f);
    const type = isFolder ? "directory" : (TYPES[flag] ?? "other");
    // Links have no content whatever their size says; those of other kinds are passed over.
    const sizeBytes = type === "file" || type === "other" ? (meta.sizeBytes ?? ownSize) : 0;
    totalBytes += sizeBytes;
    if (totalBytes > limits.maxBytes) throw tooLarge(`more than ${limits.maxBytes} bytes`, limits);
    const target =
      type === "symlink" || type === "link" ? (meta.target ?? untilNul(head.subarray(157, 257))) : undefined;
    meta = {};
    bytes.begin(sizeBytes);
    yield {
      path: rawPath,
      type,
      mode: parseNumber(head, 100, 8) & 0o777,
      mtimeMs: parseNumber(head, 136, 12) * 1000,
      sizeBytes,
      ...(target === undefined ? {} : { target }),
      content: bytes.content(),
    };
    await bytes.finish(sizeBytes);
  }
  await bytes.drain(MAX_PADDING_BYTES);
}

interface Meta {
  path?: Buffer;
  target?: Buffer;
  sizeBytes?: number;
}

function tooLarge(what: string, limits: ArchiveLimits): FirebreakError {
  return new FirebreakError("ARCHIVE_TOO_LARGE", `the archive holds ${what}`, {
    hint: "If that is what you want, raise --max-entries or --max-size.",
    details: { ...limits },
  });
}

function checkSum(head: Buffer): void {
  let sum = 8 * 0x20;
  for (let index = 0; index < BLOCK; index++) if (index < 148 || index >= 156) sum += head[index] as number; // in the block
  if (sum !== parseNumber(head, 148, 8)) throw invalidArchive("a head with a wrong checksum");
}

/** Octal digits, or GNU's base 256 for what is larger. */
function parseNumber(head: Buffer, at: number, length: number): number {
  const field = head.subarray(at, at + length);
  if ((field[0] as number) & 0x80) {
    if (field[0] !== 0x80) throw invalidArchive("a negative number");
    const value = BigInt(`0x${field.subarray(1).toString("hex")}`);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidArchive("a number without end");
    return Number(value);
  }
  const text = field
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .trimStart();
  if (!/^[0-7]*$/.test(text)) throw invalidArchive("a number that is none");
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function headPath(head: Buffer): Buffer {
  const name = untilNul(head.subarray(0, 100));
  // Only POSIX's magic ("ustar", NUL) has the prefix; GNU's uses its place for other things.
  if (head.subarray(257, 263).toString("latin1") !== "ustar\0") return name;
  const prefix = untilNul(head.subarray(345, 500));
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]);
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Records of `LENGTH KEY=VALUE\n`; LENGTH counts the whole record. */
function parsePax(body: Buffer): Meta {
  const meta: Meta = {};
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? "" : body.subarray(at, space).toString("latin1");
    const length = /^\d{1,6}$/.test(digits) ? Number(digits) : 0;
    const record = body.subarray(space + 1, at + length);
    const equals = record.indexOf(0x3d);
    if (length <= digits.length + 1 || at + length > body.length || record.at(-1) !== 0x0a || equals < 0)
      throw invalidArchive("a malformed pax record");
    const key = record.subarray(0, equals).toString("latin1");
    const value = record.subarray(equals + 1, -1);
    if (key === "path") meta.path = value;
    else if (key === "linkpath") meta.target = value;
    else if (key === "size") {
      if (!/^\d{1,15}$/.test(value.toString("latin1"))) throw invalidArchive("a pax size that is no number");
      meta.sizeBytes = Number(value.toString("latin1"));
    }
    at += length;
  }
  return meta;
}

/** A byte stream that is read by counts. */
class ByteSource {
  readonly #iterator: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes of the present entry's content that have not been read. */
  #rest = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** More bytes into the chunk, or false at the end. */
  async #fill(): Promise<boolean> {
    const next = await this.#iterator.next();
    if (next.done) return false;
    this.#chunk = this.#chunk.length === 0 ? next.value : Buffer.concat([this.#chunk, next.value]);
    return true;
  }

  /** Exactly so many bytes; undefined when the stream is over. Throws when it ends within. */
  async take(length: number): Promise<Buffer | undefined> {
    while (this.#chunk.length < length) {
      if (await this.#fill()) continue;
      if (this.#chunk.length === 0) return undefined;
      throw invalidArchive("it is cut off");
    }
    const taken = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    return taken;
  }

  async takePadded(length: number): Promise<Buffer> {
    const taken = await this.take(Math.ceil(length / BLOCK) * BLOCK);
    if (taken === undefined && length > 0) throw invalidArchive("it is cut off");
    return (taken ?? Buffer.alloc(0)).subarray(0, length);
  }

  /** An entry's content begins here. */
  begin(sizeBytes: number): void {
    this.#rest = sizeBytes;
  }

  async *content(): AsyncGenerator<Buffer> {
    while (this.#rest > 0) yield await this.#piece();
  }

  /** Passes over what was not read of the content, and what fills it up to whole blocks. */
  async finish(sizeBytes: number): Promise<void> {
    while (this.#rest > 0) await this.#piece();
    const padding = (BLOCK - (sizeBytes % BLOCK)) % BLOCK;
    if (padding > 0 && (await this.take(padding)) === undefined) throw invalidArchive("it is cut off");
  }

  async #piece(): Promise<Buffer> {
    if (this.#chunk.length === 0 && !(await this.#fill())) throw invalidArchive("it is cut off");
    const piece = this.#chunk.subarray(0, this.#rest);
    this.#chunk = this.#chunk.subarray(piece.length);
    this.#rest -= piece.length;
    return piece;
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  /** Reads to the end, so that whoever sends is not cut off. */
  async drain(maxBytes: number): Promise<void> {
    let drained = this.#chunk.length;
    this.#chunk = Buffer.alloc(0);
    while (drained <= maxBytes) {
      const next = await this.#iterator.next();
      if (next.done) return;
      drained += next.value.length;
    }
    throw invalidArchive("it goes on after its end");
  }
}
