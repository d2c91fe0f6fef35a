import { FirebreakError } from "../errors/firebreak-error.ts";
import {
  BLOCK_BYTES,
  BlockReader,
  invalidArchive,
  isZeroBlock,
  paddedBytes,
  parsePaxRecords,
  parseTarHeader,
  readTarMeta,
  untilNul,
} from "./tar-format.ts";

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

/**
 * The entries of a tar stream (ustar, GNU long names, pax), with names byte for byte. Throws ARCHIVE_INVALID on what is no archive or is cut off, and
 * ARCHIVE_TOO_LARGE as soon as an entry's head announces more than `limits` allow.
 */
export async function* readTar(source: AsyncIterable<Buffer>, limits: ArchiveLimits): AsyncGenerator<TarEntry> {
  const reader = new BlockReader(source);
  try {
    yield* readEntries(reader, limits);
  } finally {
    await reader.close();
  }
}

async function* readEntries(reader: BlockReader, limits: ArchiveLimits): AsyncGenerator<TarEntry> {
  let entries = 0;
  let totalBytes = 0;
  let meta: Meta = {};
  for (;;) {
    const block = await reader.read(BLOCK_BYTES);
    if (isZeroBlock(block)) break;
    const header = parseTarHeader(block);
    const { kind } = header;
    if (++entries > limits.maxEntries) throw tooLarge(`more than ${limits.maxEntries} entries`, limits);
    if (kind === "L" || kind === "K" || kind === "x" || kind === "g") {
      const text = await readTarMeta(reader, header.sizeBytes, MAX_META_BYTES);
      if (kind === "L") meta = { ...meta, path: untilNul(text) };
      else if (kind === "K") meta = { ...meta, target: untilNul(text) };
      else if (kind === "x") meta = { ...meta, ...parsePax(text) };
      continue;
    }
    if (header.mtimeSeconds < 0) throw invalidArchive("a negative number");
    const path = meta.path ?? header.path;
    const isFolder = kind === "5" || (TYPES[kind] === "file" && path.endsWith("/"));
    const type = isFolder ? "directory" : (TYPES[kind] ?? "other");
    // Links have no content whatever their size says; those of other kinds are passed over.
    const sizeBytes = type === "file" || type === "other" ? (meta.sizeBytes ?? header.sizeBytes) : 0;
    totalBytes += sizeBytes;
    if (totalBytes > limits.maxBytes) throw tooLarge(`more than ${limits.maxBytes} bytes`, limits);
    const target = type === "symlink" || type === "link" ? (meta.target ?? header.linkTarget) : undefined;
    meta = {};
    let left = sizeBytes;
    const content = async function* () {
      while (left > 0) {
        const chunk = await reader.some(left);
        left -= chunk.length;
        yield chunk;
      }
    };
    yield {
      path: Buffer.from(path, "latin1"),
      type,
      mode: header.mode & 0o777,
      mtimeMs: header.mtimeSeconds * 1000,
      sizeBytes,
      ...(target === undefined ? {} : { target: Buffer.from(target, "latin1") }),
      content: content(),
    };
    await reader.skip(left + paddedBytes(sizeBytes) - sizeBytes);
  }
  await reader.drain(MAX_PADDING_BYTES);
}

interface Meta {
  path?: string;
  target?: string;
  sizeBytes?: number;
}

function tooLarge(what: string, limits: ArchiveLimits): FirebreakError {
  return new FirebreakError("ARCHIVE_TOO_LARGE", `the archive holds ${what}`, {
    hint: "If that is what you want, raise --max-entries or --max-size.",
    details: { ...limits },
  });
}

function parsePax(text: string): Meta {
  const meta: Meta = {};
  for (const [key, value] of parsePaxRecords(text)) {
    if (key === "path") meta.path = value;
    else if (key === "linkpath") meta.target = value;
    else if (key === "size") {
      if (!/^\d{1,15}$/.test(value)) throw invalidArchive("a pax size that is no number");
      meta.sizeBytes = Number(value);
    }
  }
  return meta;
}
