import { lstatSync, opendirSync } from "node:fs";
import { ATTR_BYTES, kindOf, Refused, writeAttr } from "./wire.ts";

/** Listings that are kept for their readers; one that is not there is made again. */
const MAX_LISTINGS = 32;
/** Of one directory, and of all that are kept: half a million names. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;
/** What a name costs besides its bytes. */
const NAME_OVERHEAD = 96;

interface Names {
  names: Buffer[];
  bytes: number;
}

/** The names of directories that are being read, by the handles of their readers. */
export class Listings {
  /** The one that was used last is at the end. */
  readonly #kept = new Map<bigint, Names>();
  #bytes = 0;

  /** Those of the directory `fd` as they were when its reader began. Throws Refused ENOMEM. */
  namesOf(handle: bigint, after: Buffer, fd: number): Buffer[] {
    const known = this.#kept.get(handle);
    // Who begins sees what is there now.
    if (known !== undefined && after.length > 0) {
      this.#kept.delete(handle);
      this.#kept.set(handle, known);
      return known.names;
    }
    this.drop(handle);
    const made = readNames(fd);
    this.#kept.set(handle, made);
    this.#bytes += made.bytes;
    for (const old of this.#kept.keys()) {
      const fits = this.#kept.size <= MAX_LISTINGS && this.#bytes <= MAX_LISTING_BYTES;
      if (fits || old === handle) break;
      this.drop(old);
    }
    return made.names;
  }

  drop(handle: bigint): void {
    const known = this.#kept.get(handle);
    if (known === undefined) return;
    this.#kept.delete(handle);
    this.#bytes -= known.bytes;
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }
}

export interface PageRequest {
  /** The last name of the page before; empty for the first page. */
  after: Buffer;
  /** The directory. */
  fd: number;
  /** Bytes; one entry is there even if it is larger. */
  most: number;
  rootDevice: bigint;
}

/** A page of a directory: whether it is the last one, and each name with its attributes. */
export function encodePage(names: readonly Buffer[], { after, fd, most, rootDevice }: PageRequest): Buffer {
  const pieces = [Buffer.of(0)];
  let bytes = 1;
  let index = after.length === 0 ? 0 : firstAfter(names, after);
  const prefix = Buffer.from(`/proc/self/fd/${fd}/`);
  for (; index < names.length; index++) {
    const name = names[index] as Buffer;
    const size = 2 + name.length + ATTR_BYTES;
    if (bytes + size > most && bytes > 1) break;
    const stats = lstatSync(Buffer.concat([prefix, name]), { bigint: true, throwIfNoEntry: false });
    const kind = stats === undefined ? undefined : kindOf(stats);
    if (stats === undefined || kind === undefined) continue;
    const entry = Buffer.allocUnsafe(size);
    entry.writeUInt16BE(name.length, 0);
    name.copy(entry, 2);
    writeAttr(entry, 2 + name.length, stats, kind, rootDevice);
    pieces.push(entry);
    bytes += size;
  }
  (pieces[0] as Buffer)[0] = index >= names.length ? 1 : 0;
  return Buffer.concat(pieces);
}

/** Sorted by their bytes, so that a reader goes on after a name whatever has happened meanwhile. */
function readNames(fd: number): Names {
  const directory = opendirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" as BufferEncoding, bufferSize: 1024 });
  try {
    const names: Buffer[] = [];
    let bytes = 0;
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      // Node's types know of no directory whose names are bytes.
      const name = entry.name as unknown as Buffer;
      names.push(name);
      bytes += name.length + NAME_OVERHEAD;
      if (bytes > MAX_LISTING_BYTES) throw new Refused("ENOMEM");
    }
    names.sort(Buffer.compare);
    return { names, bytes };
  } finally {
    directory.closeSync();
  }
}

/** The index of the first name that comes after this one. */
function firstAfter(names: readonly Buffer[], after: Buffer): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(names[middle] as Buffer, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
