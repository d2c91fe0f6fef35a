import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lutimesSync,
} from "node:fs";
import { type ConfinedRoot, keptBits } from "./confined-root.ts";
import { type OpenFile, openFile } from "./open-files.ts";
import { type FieldReader, kindOf, MAX_OFFSET, MalformedFrame, Refused } from "./wire.ts";

const CHANGES = { mode: 1, size: 2, accessed: 4, modified: 8, accessedNow: 16, modifiedNow: 32 } as const;

/** What a guest wants changed of a file: `mask` tells which of the values mean something. */
export interface Changes {
  mask: number;
  mode: number;
  size: bigint;
  /** Seconds. */
  accessed: number;
  modified: number;
}

/** The last fields of a frame. */
export function readChanges(fields: FieldReader): Changes {
  const changes = {
    mask: fields.u8(),
    mode: fields.u32(),
    size: fields.u64(),
    accessed: readTime(fields),
    modified: readTime(fields),
  };
  fields.end();
  if (changes.mask >= 64) throw new MalformedFrame("unknown changes");
  return changes;
}

/** `open` is the file where the guest has it open. */
export function applyChanges(root: ConfinedRoot, path: Buffer, open: OpenFile | undefined, changes: Changes): void {
  const { mask, mode, size, accessed, modified } = changes;
  if ((mask & CHANGES.size) !== 0) truncate(root, path, open, size);
  if ((mask & CHANGES.mode) !== 0) changeMode(root, path, open, mode);
  if ((mask & (CHANGES.accessed | CHANGES.modified)) === 0) return;
  const now = Date.now() / 1000;
  const chosen = (bit: number, nowBit: number, time: number) =>
    (mask & bit) === 0 ? undefined : (mask & nowBit) === 0 ? time : now;
  changeTimes(
    root,
    path,
    open,
    chosen(CHANGES.accessed, CHANGES.accessedNow, accessed),
    chosen(CHANGES.modified, CHANGES.modifiedNow, modified),
  );
}

function truncate(root: ConfinedRoot, path: Buffer, open: OpenFile | undefined, size: bigint): void {
  if (size > MAX_OFFSET) throw new Refused("EFBIG");
  if (open?.isWritable) {
    ftruncateSync(open.fd, Number(size));
    return;
  }
  const fd = root.at(path, (place) => openFile(root, place, constants.O_WRONLY), true);
  try {
    ftruncateSync(fd, Number(size));
  } finally {
    closeSync(fd);
  }
}

function changeMode(root: ConfinedRoot, path: Buffer, open: OpenFile | undefined, mode: number): void {
  if (open !== undefined) {
    fchmodSync(open.fd, mode & 0o777);
    return;
  }
  root.at(
    path,
    (place) =>
      root.pinned(place, (self, stats) => {
        if (kindOf(stats) === undefined) throw new Refused("EACCES");
        chmodSync(self, (mode & 0o777) | keptBits(stats));
      }),
    true,
  );
}

function changeTimes(
  root: ConfinedRoot,
  path: Buffer,
  open: OpenFile | undefined,
  accessed: number | undefined,
  modified: number | undefined,
): void {
  const complete = (stats: BigIntStats) =>
    [accessed ?? Number(stats.atimeNs) / 1e9, modified ?? Number(stats.mtimeNs) / 1e9] as const;
  if (open !== undefined) {
    futimesSync(open.fd, ...complete(fstatSync(open.fd, { bigint: true })));
    return;
  }
  root.at(
    path,
    (place) => {
      const stats = root.stat(place);
      if (kindOf(stats) === undefined) throw new Refused("EACCES");
      lutimesSync(place.path, ...complete(stats));
    },
    true,
  );
}

/** Seconds; as a number, they are off by up to an eighth of a microsecond. */
function readTime(fields: FieldReader): number {
  const seconds = Number(fields.i64());
  const nanos = fields.u32();
  if (nanos >= 1_000_000_000) throw new MalformedFrame("more nanoseconds than a second has");
  // What no file system can hold is cut to what all can.
  const bounded = Math.min(Math.max(seconds, -(2 ** 31)), 2 ** 34);
  return bounded + nanos / 1e9;
}
