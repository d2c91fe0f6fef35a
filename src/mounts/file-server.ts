import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  opendirSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { ConfinedRoot, errnoOf, keptBits, type Place } from "./confined-root.ts";
import {
  ATTR_BYTES,
  ERRNO,
  encodeAnswer,
  encodeAttr,
  type FieldReader,
  kindOf,
  MAX_DATA_BYTES,
  MAX_NAME_BYTES,
  MAX_PAGE_BYTES,
  MAX_PATH_BYTES,
  MalformedFrame,
  OPS,
  parseRequest,
  Refused,
  writeAttr,
} from "./wire.ts";

/** Files that one mount may have open. */
export const MAX_HANDLES = 1024;
/** Listings that are kept for their readers; one that is not there is made again. */
const MAX_LISTINGS = 32;
/** Of one directory, and of all that are kept: half a million names. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;
/** What a name costs besides its bytes. */
const NAME_OVERHEAD = 96;
/** Beyond this Node takes no position for a write. */
const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);

const ACCESS_MODES = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR;
/** Not to hang on what is no regular file, however it came there. */
const ALWAYS = constants.O_NONBLOCK | constants.O_NOCTTY;
const SETID = 0o6000n;
const CHANGES = { mode: 1, size: 2, accessed: 4, modified: 8, accessedNow: 16, modifiedNow: 32 } as const;
const NOTHING = Buffer.alloc(0);

export interface FileServerOptions {
  /** Absolute, without a symlink in it. */
  hostPath: string;
  access: "ro" | "rw";
  maxHandles?: number;
}

interface Handle {
  fd: number;
  isWritable: boolean;
}

interface Names {
  names: Buffer[];
  bytes: number;
}

/** Answers what a guest asks of one mount. Its frames are hostile: each is read strictly, and nothing of it leads out of the root. */
export class FileServer {
  readonly #root: ConfinedRoot;
  readonly #isReadOnly: boolean;
  readonly #maxHandles: number;
  readonly #handles = new Map<bigint, Handle>();
  /** The one that was used last is at the end. */
  readonly #listings = new Map<bigint, Names>();
  #listingBytes = 0;

  /** Throws what opening the path says. */
  constructor({ hostPath, access, maxHandles }: FileServerOptions) {
    this.#root = new ConfinedRoot(hostPath);
    this.#isReadOnly = access === "ro";
    this.#maxHandles = maxHandles ?? MAX_HANDLES;
  }

  get isFile(): boolean {
    return this.#root.isFile;
  }

  get openFiles(): number {
    return this.#handles.size;
  }

  close(): void {
    for (const { fd } of this.#handles.values()) closeSync(fd);
    this.#handles.clear();
    this.#listings.clear();
    this.#root.close();
  }

  /** The answer to one frame (without its length), with its own length. Throws MalformedFrame on what is no request. */
  answer(frame: Buffer): Buffer {
    const { id, op, isRetry, fields } = parseRequest(frame);
    try {
      return encodeAnswer(id, 0, this.#do(op, fields, isRetry));
    } catch (error) {
      if (error instanceof MalformedFrame) throw error;
      return encodeAnswer(id, errnoOf(error), NOTHING);
    }
  }

  #do(op: number, fields: FieldReader, isRetry: boolean): Buffer {
    switch (op) {
      case OPS.lookup:
        return this.#lookup(only(fields, readPath(fields)));
      case OPS.getattr:
        return this.#getattr(readPath(fields), only(fields, fields.u64()));
      case OPS.setattr:
        return this.#setattr(fields);
      case OPS.readlink:
        return this.#readlink(only(fields, readPath(fields)));
      case OPS.mkdir:
        return this.#mkdir(readPath(fields), only(fields, fields.u32()), isRetry);
      case OPS.unlink:
        return this.#unlink(only(fields, readPath(fields)), isRetry);
      case OPS.rmdir:
        return this.#rmdir(only(fields, readPath(fields)), isRetry);
      case OPS.symlink:
        return this.#symlink(readPath(fields), only(fields, readPath(fields)), isRetry);
      case OPS.rename:
        return this.#rename(readPath(fields), only(fields, readPath(fields)), isRetry);
      case OPS.link:
        return this.#link(readPath(fields), only(fields, readPath(fields)), isRetry);
      case OPS.open:
        return this.#open(readPath(fields), fields.u64(), only(fields, fields.u32()));
      case OPS.create:
        return this.#create(readPath(fields), fields.u64(), fields.u32(), only(fields, fields.u32()), isRetry);
      case OPS.read:
        return this.#read(fields.u64(), fields.u64(), only(fields, fields.u32()));
      case OPS.write:
        return this.#write(fields.u64(), fields.u64(), fields.u8(), fields.rest(), isRetry);
      case OPS.fsync:
        return this.#fsync(readPath(fields), fields.u64(), only(fields, fields.u8()));
      case OPS.statfs:
        fields.end();
        return this.#statfs();
      case OPS.readdir:
        return this.#readdir(readPath(fields), fields.u64(), fields.bytes(MAX_NAME_BYTES), only(fields, fields.u32()));
      case OPS.release:
        return this.#release(only(fields, fields.u64()));
      default:
        throw new MalformedFrame(`no request has the number ${op}`);
    }
  }

  #lookup(path: Buffer): Buffer {
    return this.#root.at(path, (place) => this.#attr(this.#root.stat(place)), true);
  }

  #attr(stats: BigIntStats): Buffer {
    const kind = kindOf(stats);
    if (kind === undefined) throw new Refused("EACCES");
    return encodeAttr(stats, kind, this.#root.device);
  }

  #getattr(path: Buffer, handle: bigint): Buffer {
    if (handle === 0n) return this.#lookup(path);
    return this.#attr(fstatSync(this.#handle(handle).fd, { bigint: true }));
  }

  #setattr(fields: FieldReader): Buffer {
    const path = readPath(fields);
    const handle = fields.u64();
    const mask = fields.u8();
    const mode = fields.u32();
    const size = fields.u64();
    const accessed = readTime(fields);
    const modified = readTime(fields);
    fields.end();
    if (mask >= 64) throw new MalformedFrame("unknown changes");
    if (mask !== 0) this.#requireWritable();
    const open = handle === 0n ? undefined : this.#handle(handle);
    if ((mask & CHANGES.size) !== 0) this.#truncate(path, open, size);
    if ((mask & CHANGES.mode) !== 0) this.#changeMode(path, open, mode);
    if ((mask & (CHANGES.accessed | CHANGES.modified)) !== 0) {
      const now = Date.now() / 1000;
      const chosen = (bit: number, nowBit: number, time: number) =>
        (mask & bit) === 0 ? undefined : (mask & nowBit) === 0 ? time : now;
      this.#changeTimes(
        path,
        open,
        chosen(CHANGES.accessed, CHANGES.accessedNow, accessed),
        chosen(CHANGES.modified, CHANGES.modifiedNow, modified),
      );
    }
    return this.#getattr(path, handle);
  }

  #truncate(path: Buffer, open: Handle | undefined, size: bigint): void {
    if (size > MAX_OFFSET) throw new Refused("EFBIG");
    if (open?.isWritable) {
      ftruncateSync(open.fd, Number(size));
      return;
    }
    const fd = this.#root.at(path, (place) => this.#openFile(place, constants.O_WRONLY), true);
    try {
      ftruncateSync(fd, Number(size));
    } finally {
      closeSync(fd);
    }
  }

  #changeMode(path: Buffer, open: Handle | undefined, mode: number): void {
    if (open !== undefined) {
      fchmodSync(open.fd, mode & 0o777);
      return;
    }
    this.#root.at(
      path,
      (place) =>
        this.#root.pinned(place, (self, stats) => {
          if (kindOf(stats) === undefined) throw new Refused("EACCES");
          chmodSync(self, (mode & 0o777) | keptBits(stats));
        }),
      true,
    );
  }

  #changeTimes(
    path: Buffer,
    open: Handle | undefined,
    accessed: number | undefined,
    modified: number | undefined,
  ): void {
    const complete = (stats: BigIntStats) =>
      [accessed ?? Number(stats.atimeNs) / 1e9, modified ?? Number(stats.mtimeNs) / 1e9] as const;
    if (open !== undefined) {
      futimesSync(open.fd, ...complete(fstatSync(open.fd, { bigint: true })));
      return;
    }
    this.#root.at(
      path,
      (place) => {
        const stats = this.#root.stat(place);
        if (kindOf(stats) === undefined) throw new Refused("EACCES");
        lutimesSync(place.path, ...complete(stats));
      },
      true,
    );
  }

  #readlink(path: Buffer): Buffer {
    return this.#root.at(path, (place) => readlinkSync(place.path, { encoding: "buffer" }));
  }

  #mkdir(path: Buffer, mode: number, isRetry: boolean): Buffer {
    this.#requireWritable();
    return this.#root.at(path, (place) => {
      try {
        mkdirSync(place.path, { mode: 0o700 });
      } catch (error) {
        const isDone = isRetry && errnoOf(error) === ERRNO.EEXIST && this.#root.stat(place).isDirectory();
        if (!isDone) throw error;
      }
      this.#root.finish(place, mode);
      return this.#attr(this.#root.stat(place));
    });
  }

  #unlink(path: Buffer, isRetry: boolean): Buffer {
    this.#requireWritable();
    return this.#root.at(path, (place) => unless(isRetry, ERRNO.ENOENT, () => unlinkSync(place.path)));
  }

  #rmdir(path: Buffer, isRetry: boolean): Buffer {
    this.#requireWritable();
    return this.#root.at(path, (place) => unless(isRetry, ERRNO.ENOENT, () => rmdirSync(place.path)));
  }

  #symlink(path: Buffer, target: Buffer, isRetry: boolean): Buffer {
    this.#requireWritable();
    if (target.length === 0) throw new Refused("ENOENT");
    if (target.includes(0)) throw new Refused("EINVAL");
    return this.#root.at(path, (place) => {
      try {
        symlinkSync(target, place.path);
      } catch (error) {
        const isDone = isRetry && errnoOf(error) === ERRNO.EEXIST && isLinkTo(place.path, target);
        if (!isDone) throw error;
      }
      this.#root.ownLink(place);
      return this.#attr(this.#root.stat(place));
    });
  }

  #rename(from: Buffer, to: Buffer, isRetry: boolean): Buffer {
    this.#requireWritable();
    return this.#root.at(from, (source) =>
      this.#root.at(to, (target) => {
        // Gone from there and present here: an earlier try did it.
        const isDone = () => lstatSync(target.path, { throwIfNoEntry: false }) !== undefined;
        if (lstatSync(source.path, { throwIfNoEntry: false }) === undefined && isRetry && isDone()) return NOTHING;
        renameSync(source.path, target.path);
        return NOTHING;
      }),
    );
  }

  #link(path: Buffer, to: Buffer, isRetry: boolean): Buffer {
    this.#requireWritable();
    return this.#root.at(path, (source) =>
      this.#root.at(to, (target) => {
        const stats = this.#root.stat(source);
        if (!stats.isFile() || (stats.mode & SETID) !== 0n) throw new Refused("EPERM");
        try {
          linkSync(source.path, target.path);
        } catch (error) {
          if (!isRetry || errnoOf(error) !== ERRNO.EEXIST || this.#root.stat(target).ino !== stats.ino) throw error;
        }
        return this.#attr(this.#root.stat(target));
      }),
    );
  }

  #open(path: Buffer, handle: bigint, flags: number): Buffer {
    const mode = flags & ACCESS_MODES;
    const empties = (flags & constants.O_TRUNC) !== 0;
    if (mode === ACCESS_MODES) throw new Refused("EINVAL");
    if (mode !== constants.O_RDONLY || empties) this.#requireWritable();
    this.#requireFreeHandle(handle);
    const fd = this.#root.at(path, (place) => this.#openFile(place, mode | (empties ? constants.O_TRUNC : 0)), true);
    this.#handles.set(handle, { fd, isWritable: mode !== constants.O_RDONLY });
    return NOTHING;
  }

  /** What is there is looked at before it is opened: opening a device or a FIFO does something. */
  #openFile(place: Place, flags: number): number {
    return this.#root.pinned(place, (self, stats) => {
      const kind = kindOf(stats);
      if (kind === "directory") throw new Refused("EISDIR");
      if (kind === "symlink") throw new Refused("ELOOP");
      if (kind !== "file") throw new Refused("EACCES");
      // Of a program that runs as its owner, a guest would decide what that is. Root's own writes do not take the right away.
      const writes = (flags & (ACCESS_MODES | constants.O_TRUNC)) !== 0;
      if (writes && (stats.mode & SETID) !== 0n) throw new Refused("EPERM");
      return openSync(self, flags | ALWAYS);
    });
  }

  #create(path: Buffer, handle: bigint, flags: number, mode: number, isRetry: boolean): Buffer {
    this.#requireWritable();
    const access = flags & ACCESS_MODES;
    if (access === ACCESS_MODES) throw new Refused("EINVAL");
    if (handle !== 0n) this.#requireFreeHandle(handle);
    return this.#root.at(path, (place) => {
      const fd = this.#makeFile(place, access, flags, mode, isRetry);
      try {
        const attr = this.#attr(fstatSync(fd, { bigint: true }));
        if (handle === 0n) closeSync(fd);
        else this.#handles.set(handle, { fd, isWritable: access !== constants.O_RDONLY });
        return attr;
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    });
  }

  #makeFile(place: Place, access: number, flags: number, mode: number, isRetry: boolean): number {
    const isExclusive = (flags & constants.O_EXCL) !== 0 && !isRetry;
    let fd: number;
    try {
      const makes = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      fd = openSync(place.path, access | makes | ALWAYS, 0o600);
    } catch (error) {
      if (isExclusive || errnoOf(error) !== ERRNO.EEXIST) throw error;
      return this.#openFile(place, access | (flags & constants.O_TRUNC));
    }
    try {
      const stats = fstatSync(fd, { bigint: true });
      this.#root.own(stats, place.folder, (uid, gid) => fchownSync(fd, uid, gid));
      fchmodSync(fd, mode & 0o777);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #read(handle: bigint, offset: bigint, size: number): Buffer {
    const { fd } = this.#handle(handle);
    if (size > MAX_DATA_BYTES) throw new Refused("EINVAL");
    if (offset > MAX_OFFSET) return NOTHING;
    const bytes = Buffer.allocUnsafe(size);
    let count = 0;
    while (count < size) {
      const read = readSync(fd, bytes, count, size - count, Number(offset) + count);
      if (read === 0) break;
      count += read;
    }
    return bytes.subarray(0, count);
  }

  #write(handle: bigint, offset: bigint, isAppend: number, data: Buffer, isRetry: boolean): Buffer {
    this.#requireWritable();
    if (isAppend > 1) throw new MalformedFrame("neither appended nor not");
    if (data.length > MAX_DATA_BYTES) throw new MalformedFrame("more data than a write has");
    const { fd, isWritable } = this.#handle(handle);
    if (!isWritable) throw new Refused("EBADF");
    if (offset + BigInt(data.length) > MAX_OFFSET) throw new Refused("EFBIG");
    let start = Number(offset);
    // The guest goes by the end that it has seen last; what the host has added since stays. One that is repeated goes where it went.
    if (isAppend === 1 && !isRetry) start = Math.max(start, Number(fstatSync(fd, { bigint: true }).size));
    let count = 0;
    while (count < data.length) count += writeSync(fd, data, count, data.length - count, start + count);
    const answer = Buffer.allocUnsafe(4);
    answer.writeUInt32BE(count);
    return answer;
  }

  #fsync(path: Buffer, handle: bigint, isDataOnly: number): Buffer {
    if (isDataOnly > 1) throw new MalformedFrame("neither data only nor not");
    if (handle !== 0n) {
      const { fd } = this.#handle(handle);
      if (isDataOnly === 1) fdatasyncSync(fd);
      else fsyncSync(fd);
      return NOTHING;
    }
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    const fd = this.#root.at(path, (place) => openSync(place.path, flags), true);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return NOTHING;
  }

  #statfs(): Buffer {
    const all = this.#root.at(NOTHING, (place) => statfsSync(place.path, { bigint: true }), true);
    const out = Buffer.allocUnsafe(44);
    let at = 0;
    for (const value of [all.blocks, all.bfree, all.bavail, all.files, all.ffree])
      at = out.writeBigUInt64BE(BigInt.asUintN(64, value), at);
    out.writeUInt32BE(Number(BigInt.asUintN(32, all.bsize)), at);
    return out;
  }

  #readdir(path: Buffer, handle: bigint, after: Buffer, wantedBytes: number): Buffer {
    const most = Math.min(wantedBytes, MAX_PAGE_BYTES);
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    return this.#root.at(
      path,
      (place) => {
        const fd = openSync(place.path, flags);
        try {
          this.#root.folderStats(fd);
          const names = this.#namesFor(handle, after, fd);
          return this.#page(names, after, fd, most);
        } finally {
          closeSync(fd);
        }
      },
      true,
    );
  }

  #namesFor(handle: bigint, after: Buffer, fd: number): Buffer[] {
    const known = this.#listings.get(handle);
    // Who begins sees what is there now.
    if (known !== undefined && after.length > 0) {
      this.#listings.delete(handle);
      this.#listings.set(handle, known);
      return known.names;
    }
    this.#dropListing(handle);
    const made = readNames(fd);
    this.#listings.set(handle, made);
    this.#listingBytes += made.bytes;
    for (const old of this.#listings.keys()) {
      const fits = this.#listings.size <= MAX_LISTINGS && this.#listingBytes <= MAX_LISTING_BYTES;
      if (fits || old === handle) break;
      this.#dropListing(old);
    }
    return made.names;
  }

  #dropListing(handle: bigint): void {
    const known = this.#listings.get(handle);
    if (known === undefined) return;
    this.#listings.delete(handle);
    this.#listingBytes -= known.bytes;
  }

  #page(names: Buffer[], after: Buffer, fd: number, most: number): Buffer {
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
      writeAttr(entry, 2 + name.length, stats, kind, this.#root.device);
      pieces.push(entry);
      bytes += size;
    }
    (pieces[0] as Buffer)[0] = index >= names.length ? 1 : 0;
    return Buffer.concat(pieces);
  }

  #release(handle: bigint): Buffer {
    const open = this.#handles.get(handle);
    this.#handles.delete(handle);
    this.#dropListing(handle);
    if (open !== undefined) closeSync(open.fd);
    return NOTHING;
  }

  #handle(handle: bigint): Handle {
    const open = this.#handles.get(handle);
    if (open === undefined) throw new Refused("EBADF");
    return open;
  }

  #requireFreeHandle(handle: bigint): void {
    if (handle === 0n) throw new MalformedFrame("a file is opened as none");
    // The agent counts: one that is open already is what an answer was lost of.
    this.#release(handle);
    if (this.#handles.size >= this.#maxHandles) throw new Refused("ENFILE");
  }

  #requireWritable(): void {
    if (this.#isReadOnly) throw new Refused("EROFS");
  }
}

function only<T>(fields: FieldReader, value: T): T {
  fields.end();
  return value;
}

function readPath(fields: FieldReader): Buffer {
  return fields.bytes(MAX_PATH_BYTES);
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

/** An error that means that an earlier try did it is none. */
function unless(isRetry: boolean, doneErrno: number, work: () => void): Buffer {
  try {
    work();
  } catch (error) {
    if (!isRetry || errnoOf(error) !== doneErrno) throw error;
  }
  return NOTHING;
}

function isLinkTo(place: Buffer, target: Buffer): boolean {
  try {
    return readlinkSync(place, { encoding: "buffer" }).equals(target);
  } catch {
    return false;
  }
}

/** Sorted by their bytes, so that a reader goes on after a name whatever has happened meanwhile. */
function readNames(fd: number): Names {
  const directory = opendirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" as BufferEncoding, bufferSize: 1024 });
  try {
    const names: Buffer[] = [];
    let bytes = 0;
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
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
