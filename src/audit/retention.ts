import type { KeyObject } from "node:crypto";
import { stat, unlink } from "node:fs/promises";
import { type ChainPoint, readSealed } from "./entry.ts";
import { readLinesBackwards } from "./lines.ts";
import { listSegments } from "./segments.ts";

/** How much of the log is kept; what is absent is no bound. */
export interface Retention {
  /** Entries older than this go, ms. */
  keepMs?: number | undefined;
  /** Of all files together. */
  maxBytes?: number | undefined;
}

/** Files are begun anew so often within the time that entries are kept: only whole files go, and an entry stays by so much longer than it has to. */
const FILES_PER_TIME = 16;
const FILES_PER_SIZE = 8;

/** What a file may hold, so that the log can be kept within its bounds by removing files. */
export function segmentBounds({ keepMs, maxBytes }: Retention, mostBytes: number): { bytes: number; ms: number } {
  return {
    bytes: maxBytes === undefined ? mostBytes : Math.min(mostBytes, Math.floor(maxBytes / FILES_PER_SIZE)),
    ms: keepMs === undefined ? Number.POSITIVE_INFINITY : keepMs / FILES_PER_TIME,
  };
}

export interface Expired {
  /** The oldest first. */
  files: string[];
  firstSeq: number;
  /** The last entry that goes. */
  last: ChainPoint;
}

/**
 * The oldest files that are not to be kept any more; undefined for none. The newest stays whatever its age. A file that does not end with an entry as it was
 * written stays, with all after it: it is for somebody to look at.
 */
export async function findExpired(
  folder: string,
  key: KeyObject,
  { keepMs = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY }: Retention,
  nowMs: number,
): Promise<Expired | undefined> {
  const segments = await listSegments(folder);
  const sizes = await Promise.all(segments.map(async ({ file }) => (await stat(file)).size));
  let left = sizes.reduce((sum, size) => sum + size, 0);
  let found: Expired | undefined;
  for (const [index, { file, firstSeq }] of segments.slice(0, -1).entries()) {
    const entry = await lastEntry(file, key);
    if (entry === undefined) break;
    if (left <= maxBytes && nowMs - Date.parse(entry.at) <= keepMs) break;
    left -= sizes[index] ?? 0;
    found = {
      files: [...(found?.files ?? []), file],
      firstSeq: found?.firstSeq ?? firstSeq,
      last: { seq: entry.seq, hash: entry.hash },
    };
  }
  return found;
}

/** The oldest first: whoever dies on the way leaves no gap. */
export async function removeSegments(files: readonly string[]): Promise<void> {
  for (const file of files) await unlink(file);
}

async function lastEntry(file: string, key: KeyObject) {
  for await (const line of readLinesBackwards(file)) return readSealed(key, line);
  return undefined;
}
