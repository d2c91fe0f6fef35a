import type { KeyObject } from "node:crypto";
import type { AuditNote } from "../contract/audit.ts";
import { CHAIN_START, type ChainPoint, MAX_LINE_BYTES, readSealed } from "./entry.ts";
import { readLines, readLinesBackwards } from "./lines.ts";
import type { OpenSegment, SegmentFile } from "./segment-file.ts";
import { listSegments, type Segment } from "./segments.ts";

/** Where the log goes on. */
export interface Recovered {
  /** Undefined: in a new segment. */
  segment: SegmentFile | undefined;
  point: ChainPoint;
  /** What there is to note of how the log was found. */
  notes: AuditNote[];
}

/**
 * Finds the end of the log. A last line that was not written whole is cut off: the daemon was killed in writing it. Where the log ends before its head, it
 * goes on after that: the gap stays, for `verify` to find.
 */
export async function recover(
  folder: string,
  key: KeyObject,
  head: ChainPoint | undefined,
  open: OpenSegment,
): Promise<Recovered> {
  const notes: AuditNote[] = [];
  const segments = await listSegments(folder);
  const last = segments.at(-1);
  const segment = last === undefined ? undefined : open(last.file);
  if (segment !== undefined) await mendEnd(segment, key, notes);
  const line = await lastLine(segments);
  const tail = line === undefined ? CHAIN_START : pointOf(key, line);
  if (tail === undefined) notes.push({ what: "end_not_verified" });
  const known = head ?? CHAIN_START;
  if (tail !== undefined && tail.seq >= known.seq) return { segment, point: tail, notes };
  if (tail !== undefined) notes.push({ what: "entries_missing", from: tail.seq + 1, to: known.seq });
  // Its name is that of its first entry: one that is empty, or not in order, is not gone on with.
  const seq = Math.max(known.seq, tail === undefined ? (last?.firstSeq ?? 0) : 0);
  segment?.close();
  return { segment: undefined, point: { seq, hash: known.hash }, notes };
}

async function mendEnd(segment: SegmentFile, key: KeyObject, notes: AuditNote[]): Promise<void> {
  const start = Math.max(0, segment.sizeBytes - 2 * MAX_LINE_BYTES);
  let torn: Buffer | undefined;
  for await (const { bytes, isWhole } of readLines(segment.file, start)) torn = isWhole ? undefined : bytes;
  if (torn === undefined) return;
  // All but its break: it is there.
  if (readSealed(key, torn) !== undefined) {
    segment.write(Buffer.from("\n"));
    return;
  }
  notes.push({ what: "torn_line", bytes: torn.length });
  segment.truncate(segment.sizeBytes - torn.length);
}

async function lastLine(segments: readonly Segment[]): Promise<Buffer | undefined> {
  for (const { file } of [...segments].reverse()) for await (const line of readLinesBackwards(file)) return line;
  return undefined;
}

function pointOf(key: KeyObject, line: Buffer): ChainPoint | undefined {
  const entry = readSealed(key, line);
  return entry === undefined ? undefined : { seq: entry.seq, hash: entry.hash };
}
