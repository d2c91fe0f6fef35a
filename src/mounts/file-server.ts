import {
  type BigIntStats,
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
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
import { applyChanges, readChanges } from "./changes.ts";
import { ConfinedRoot, errnoOf } from "./confined-root.ts";
import { encodePage, Listings } from "./listings.ts";
import { ACCESS_MODES, makeFile, OpenFiles, openFile, SETID } from "./open-files.ts";
import {
  ERRNO,
  encodeAnswer,
  encodeAttr,
  type FieldReader,
  kindOf,
  MAX_DATA_BYTES,
  MAX_NAME_BYTES,
  MAX_OFFSET,
  MAX_PAGE_BYTES,
  MAX_PATH_BYTES,
  MalformedFrame,
  OPS,
  parseRequest,
  Refused,
} from "./wire.ts";

/** Files that one mount may have open. */
export const MAX_HANDLES = 1024;
const NOTHING = Buffer.alloc(0);

export interface FileServerOptions {
  /** Absolute, without a symlink in it. */
  hostPath: string;
  access: "ro" | "rw";
  maxHandles?: number;
}

/** Answers what a guest asks of one mount. Its frames are hostile: each is read strictly, and nothing of it leads out of the root. */
export class FileServer {
  readonly #root: ConfinedRoot;
  readonly #isReadOnly: boolean;
  readonly #files: OpenFiles;
  readonly #listings = new Listings();

  /** Throws what opening the path says. */
  constructor({ hostPath, access, maxHandles }: FileServerOptions) {
    this.#root = new ConfinedRoot(hostPath);
    this.#isReadOnly = access === "ro";
    this.#files = new OpenFiles(maxHandles ?? MAX_HANDLES);
  }

  get isFile(): boolean {
    return this.#root.isFile;
  }

  get openFiles(): number {
    return this.#files.size;
  }

  close(): void {
    this.#files.closeAll();
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
    return this.#attr(fstatSync(this.#files.get(handle).fd, { bigint: true }));
  }

  #setattr(fields: FieldReader): Buffer {
    const path = readPath(fields);
    const handle = fields.u64();
    const changes = readChanges(fields);
    if (changes.mask !== 0) this.#requireWritable();
    const open = handle === 0n ? undefined : this.#files.get(handle);
    applyChanges(this.#root, path, open, changes);
    return this.#getattr(path, handle);
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
    const fd = this.#root.at(
      path,
      (place) => openFile(this.#root, place, mode | (empties ? constants.O_TRUNC : 0)),
      true,
    );
    this.#files.add(handle, { fd, isWritable: mode !== constants.O_RDONLY });
    return NOTHING;
  }

  #create(path: Buffer, handle: bigint, flags: number, mode: number, isRetry: boolean): Buffer {
    this.#requireWritable();
    const access = flags & ACCESS_MODES;
    if (access === ACCESS_MODES) throw new Refused("EINVAL");
    if (handle !== 0n) this.#requireFreeHandle(handle);
    return this.#root.at(path, (place) => {
      const fd = makeFile(this.#root, place, { access, flags, mode, isRetry });
      try {
        const attr = this.#attr(fstatSync(fd, { bigint: true }));
        if (handle === 0n) closeSync(fd);
        else this.#files.add(handle, { fd, isWritable: access !== constants.O_RDONLY });
        return attr;
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    });
  }

  #read(handle: bigint, offset: bigint, size: number): Buffer {
    const { fd } = this.#files.get(handle);
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
    const { fd, isWritable } = this.#files.get(handle);
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
      const { fd } = this.#files.get(handle);
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
          const names = this.#listings.namesOf(handle, after, fd);
          return encodePage(names, { after, fd, most, rootDevice: this.#root.device });
        } finally {
          closeSync(fd);
        }
      },
      true,
    );
  }

  #release(handle: bigint): Buffer {
    this.#listings.drop(handle);
    this.#files.close(handle);
    return NOTHING;
  }

  #requireFreeHandle(handle: bigint): void {
    if (handle === 0n) throw new MalformedFrame("a file is opened as none");
    // The agent counts: one that is open already is what an answer was lost of.
    this.#release(handle);
    this.#files.requireRoom();
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
