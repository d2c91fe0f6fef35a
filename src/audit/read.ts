import type { AuditEntry, AuditFilter } from "../contract/audit.ts";
import { readLine } from "./entry.ts";
import { findLine, type Line, readLines, readLinesBackwards } from "./lines.ts";
import { listSegments } from "./segments.ts";

/** Entries after one, the oldest first. What is no entry is left out: whether all is in order, `verify` tells. */
export async function* entriesAfter(folder: string, after: number, signal?: AbortSignal): AsyncGenerator<AuditEntry> {
  const segments = await listSegments(folder);
  const first = segments.findLastIndex(({ firstSeq }) => firstSeq <= after + 1);
  for (const { file } of segments.slice(Math.max(0, first)))
    for await (const { bytes, isWhole } of ifThere(linesFrom(file, after))) {
      signal?.throwIfAborted();
      const entry = isWhole ? readLine(bytes) : undefined;
      if (entry !== undefined && entry.seq > after) yield entry;
    }
}

async function* linesFrom(file: string, after: number): AsyncGenerator<Line> {
  yield* readLines(file, await findLine(file, (line) => (readLine(line)?.seq ?? 0) <= after));
}

/** The lines of a file that may have been removed for its age since the folder was looked at. */
async function* ifThere<T>(lines: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    yield* lines;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** All entries, the newest first. */
export async function* entriesBackwards(folder: string, signal?: AbortSignal): AsyncGenerator<AuditEntry> {
  for (const { file } of (await listSegments(folder)).reverse())
    for await (const line of ifThere(readLinesBackwards(file))) {
      signal?.throwIfAborted();
      const entry = readLine(line);
      if (entry !== undefined) yield entry;
    }
}

export function matches(entry: AuditEntry, { since, server, client, verdict }: AuditFilter): boolean {
  if (since !== undefined && entry.at < since) return false;
  if ("note" in entry) return server === undefined && client === undefined && verdict === undefined;
  return (
    (server === undefined || entry.server === server) &&
    (client === undefined || entry.client.principal === client || entry.client.name === client) &&
    (verdict === undefined || entry.verdict === verdict)
  );
}

export interface Scan {
  entries: AuditEntry[];
  more: boolean;
  /** The last entry that was looked at, for whoever goes on. */
  lastSeq: number;
}

/** Entries after one, at most `limit`; without `after` the newest, in the order of the chain. */
export async function scan(
  folder: string,
  filter: AuditFilter,
  { after, limit, signal }: { after?: number | undefined; limit: number; signal?: AbortSignal },
): Promise<Scan> {
  const entries: AuditEntry[] = [];
  let lastSeq = after ?? 0;
  if (after === undefined) {
    for await (const entry of entriesBackwards(folder, signal)) {
      lastSeq = Math.max(lastSeq, entry.seq);
      // From here on backwards all is older, unless the clock was set back meanwhile.
      if (filter.since !== undefined && entry.at < filter.since) break;
      if (matches(entry, filter)) entries.push(entry);
      if (entries.length >= limit) break;
    }
    return { entries: entries.reverse(), more: false, lastSeq };
  }
  for await (const entry of entriesAfter(folder, after, signal)) {
    if (matches(entry, filter)) {
      if (entries.length >= limit) return { entries, more: true, lastSeq };
      entries.push(entry);
    }
    lastSeq = entry.seq;
  }
  return { entries, more: false, lastSeq };
}
