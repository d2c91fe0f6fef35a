import {
  BLOCK_BYTES,
  BlockReader,
  invalidArchive,
  isZeroBlock,
  paddedBytes,
  parsePaxRecords,
  parseTarHeader,
  readTarMeta,
  showText,
  type TarHeader,
  untilNul,
} from "../archive/tar-format.ts";

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
    if (isZeroBlock(block)) break;
    const header = parseTarHeader(block);
    if (header.kind === "x" || header.kind === "g" || header.kind === "L" || header.kind === "K") {
      const text = await readTarMeta(reader, header.sizeBytes, MAX_META_BYTES);
      if (header.kind === "x") applyPax(text, next);
      else if (header.kind === "g") applyPax(text, {});
      else if (header.kind === "L") next.path = untilNul(text);
      else next.linkTarget = untilNul(text);
      continue;
    }
    // The volume's label: nothing that a file system could hold.
    if (header.kind === "V") {
      await reader.skip(paddedBytes(header.sizeBytes));
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
    await reader.skip(left + paddedBytes(entry.sizeBytes) - entry.sizeBytes);
  }
  await reader.drain();
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

function toEntry(header: TarHeader, given: Overrides, offset: number): TarEntry {
  let type = TYPES[header.kind];
  const path = given.path ?? header.path;
  if (type === undefined) {
    throw invalidArchive(`${showText(path)} is of a kind (${showText(header.kind)}) that is not supported`);
  }
  // As before there was a type for directories.
  if (type === "file" && header.kind === "\0" && path.endsWith("/")) type = "directory";
  const linkTarget = given.linkTarget ?? header.linkTarget;
  for (const name of [path, linkTarget]) {
    if (name.includes("\0")) throw invalidArchive("a name holds a NUL");
    if (name.length > MAX_PATH_BYTES) throw invalidArchive(`a name has more than ${MAX_PATH_BYTES} bytes`);
  }
  const hasLink = type === "symlink" || type === "link";
  if (hasLink && linkTarget === "") throw invalidArchive(`${showText(path)} links to nothing`);
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
  throw invalidArchive(`${id} is no user or group id`);
}

function applyPax(text: string, target: Overrides): void {
  for (const [key, value] of parsePaxRecords(text)) applyRecord(key, value, target);
}

function applyRecord(key: string, value: string, target: Overrides): void {
  if (key.startsWith("GNU.sparse.")) throw invalidArchive("a member is a sparse file; pack it without --sparse");
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
  throw invalidArchive(`an extended header's ${key} is ${showText(value)}`);
}

function parseTime(value: string): number {
  if (!/^-?\d{1,16}(\.\d{1,30})?$/.test(value))
    throw invalidArchive(`an extended header's mtime is ${showText(value)}`);
  return Math.floor(Number(value));
}
