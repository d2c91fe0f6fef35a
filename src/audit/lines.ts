import { type FileHandle, open } from "node:fs/promises";
import { MAX_LINE_BYTES } from "./entry.ts";

const CHUNK_BYTES = 64 * 1024;
const BREAK = 0x0a;

/** A line without its break. `isWhole`: it has one, and is no longer than lines are. */
export interface Line {
  bytes: Buffer;
  isWhole: boolean;
}

/** The lines of a file from a place in it on, to `end`; no more of it is in memory than two chunks and a line. */
export async function* readLines(file: string, start = 0, end = Number.POSITIVE_INFINITY): AsyncGenerator<Line> {
  const handle = await open(file, "r");
  try {
    let rest = Buffer.alloc(0);
    for (let at = start; at < end; ) {
      const chunk = await readAt(handle, at, Math.min(CHUNK_BYTES, end - at));
      if (chunk.length === 0) break;
      at += chunk.length;
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let stop = bytes.indexOf(BREAK); stop >= 0; stop = bytes.indexOf(BREAK)) {
        yield { bytes: bytes.subarray(0, stop), isWhole: stop <= MAX_LINE_BYTES };
        bytes = bytes.subarray(stop + 1);
      }
      if (bytes.length > MAX_LINE_BYTES) {
        yield { bytes: bytes.subarray(0, MAX_LINE_BYTES), isWhole: false };
        return;
      }
      rest = Buffer.from(bytes);
    }
    if (rest.length > 0) yield { bytes: rest, isWhole: false };
  } finally {
    await handle.close();
  }
}

/** The whole lines of a file, the last one first. */
export async function* readLinesBackwards(file: string): AsyncGenerator<Buffer> {
  const handle = await open(file, "r");
  try {
    let at = (await handle.stat()).size;
    // Until the first break nothing is known to be whole.
    let rest: Buffer | undefined;
    while (at > 0) {
      const length = Math.min(CHUNK_BYTES, at);
      at -= length;
      let bytes = await readAt(handle, at, length);
      if (bytes.length < length) return;
      if (rest !== undefined) bytes = Buffer.concat([bytes, rest]);
      for (let stop = bytes.lastIndexOf(BREAK); stop >= 0; stop = bytes.lastIndexOf(BREAK)) {
        if (rest !== undefined) yield bytes.subarray(stop + 1);
        bytes = bytes.subarray(0, stop);
        rest = bytes;
      }
      if (bytes.length > MAX_LINE_BYTES) return;
      if (rest !== undefined) rest = Buffer.from(bytes);
    }
    if (rest !== undefined) yield rest;
  } finally {
    await handle.close();
  }
}

/**
 * Where the first line begins that is not `isBefore`, in a file whose lines are ordered by that: found by halving, since a segment has 10^5 lines.
 * What is looked at may begin within a line.
 */
export async function findLine(file: string, isBefore: (line: Buffer) => boolean): Promise<number> {
  const handle = await open(file, "r");
  try {
    let [low, high] = [0, (await handle.stat()).size];
    while (high - low > MAX_LINE_BYTES) {
      const middle = Math.floor((low + high) / 2);
      const bytes = await readAt(handle, middle, 2 * MAX_LINE_BYTES);
      const start = bytes.indexOf(BREAK) + 1;
      const stop = bytes.indexOf(BREAK, start);
      if (start === 0 || stop < 0) break;
      if (isBefore(bytes.subarray(start, stop))) low = middle + start;
      else high = middle;
    }
    return low;
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
