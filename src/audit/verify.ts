import type { KeyObject } from "node:crypto";
import path from "node:path";
import type { AuditVerification } from "../contract/audit.ts";
import { CHAIN_START, type ChainPoint, type readLine, readSealed } from "./entry.ts";
import { readLines } from "./lines.ts";
import { listSegments, type Segment } from "./segments.ts";

export interface VerifyOptions {
  key: KeyObject;
  /** As far as the log is known to have come: what is behind may be there, what is before must be. */
  head?: ChainPoint | undefined;
  /** Of a log that is being written: how much of it there was at some moment. */
  end?: { file: string; bytes: number } | undefined;
  signal?: AbortSignal;
}

/**
 * Goes over the whole log: each entry as it was written, each after the one before it, none missing between the first and the head. What was removed for
 * its age or the log's size is not missing: a note among the entries that are kept says so. In bounded memory; entries after the first fault are not looked at.
 */
export async function verify(folder: string, options: VerifyOptions): Promise<AuditVerification> {
  const { key, head, end, signal } = options;
  const segments = await listSegments(folder);
  const start = await startOf(segments, key);
  const removed = start.seq === 0 ? {} : { removed: start.seq };
  let before = start;
  /** The last entry that a note says was removed. */
  let mayLack = 0;
  const bad = (file: string, line: number, why: string): AuditVerification => ({
    ok: false,
    entries: before.seq - start.seq,
    ...removed,
    firstBad: { file: path.basename(file), line, why },
  });
  let [last, lastLine] = [folder, 0];
  for (const { file, firstSeq } of segments) {
    if (end !== undefined && file > end.file) break;
    if (firstSeq !== before.seq + 1) return bad(file, 1, missing(before.seq + 1, firstSeq - 1));
    let line = 0;
    for await (const { bytes, isWhole } of readLines(file, 0, file === end?.file ? end.bytes : undefined)) {
      signal?.throwIfAborted();
      line++;
      if (!isWhole) return bad(file, line, "the line is not whole");
      const entry = readSealed(key, bytes);
      if (entry === undefined)
        return bad(file, line, "the entry is not as it was written, or was written with another key");
      if (entry.seq !== before.seq + 1 || entry.prevHash !== before.hash)
        return bad(file, line, explainOrder(before, entry));
      before = { seq: entry.seq, hash: entry.hash };
      if (head?.seq === entry.seq && head.hash !== entry.hash)
        return bad(file, line, "the entry is not the one that there was");
      if ("note" in entry && entry.note.what === "entries_removed") {
        const { to = 0, lastHash } = entry.note;
        if (to === start.seq && lastHash !== start.hash)
          return bad(segments[0]?.file ?? file, 1, `entry ${to + 1} does not follow on the one that was removed`);
        mayLack = Math.max(mayLack, to);
      }
    }
    [last, lastLine] = [file, line];
  }
  if (head !== undefined && before.seq < head.seq) return bad(last, lastLine + 1, missing(before.seq + 1, head.seq));
  if (start.seq > mayLack) {
    before = start;
    return bad(segments[0]?.file ?? folder, 1, missing(mayLack + 1, start.seq));
  }
  return { ok: true, entries: before.seq - start.seq, ...removed };
}

/** What comes before the first entry that there is, as that says itself: whether anything may be missing before it, is found out on the way. */
async function startOf([first]: readonly Segment[], key: KeyObject): Promise<ChainPoint> {
  if (first === undefined || first.firstSeq === 1) return CHAIN_START;
  for await (const { bytes, isWhole } of readLines(first.file)) {
    const entry = isWhole ? readSealed(key, bytes) : undefined;
    return entry === undefined || entry.seq !== first.firstSeq
      ? CHAIN_START
      : { seq: entry.seq - 1, hash: entry.prevHash };
  }
  return CHAIN_START;
}

function explainOrder(before: ChainPoint, entry: NonNullable<ReturnType<typeof readLine>>): string {
  if (entry.seq > before.seq + 1) return missing(before.seq + 1, entry.seq - 1);
  if (entry.seq <= before.seq) return `entry ${entry.seq} is out of its order, or twice`;
  return `entry ${entry.seq} does not follow on the one before it`;
}

function missing(from: number, to: number): string {
  return from >= to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`;
}
