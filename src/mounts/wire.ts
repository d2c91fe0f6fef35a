import type { BigIntStats } from "node:fs";

/**
 * The frames of a mount (docs/guest-protocol.md): `length (u32), id (u64), op (u8), flags (u8), fields` from the guest, `length, id, errno (u32),
 * payload` back. All numbers are big endian; a length counts what follows it.
 */

/** What one read or write may carry. */
export const MAX_DATA_BYTES = 128 * 1024;
/** Beyond this Node takes no position for a write. */
export const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);
/** PATH_MAX without its NUL, and NAME_MAX. */
export const MAX_PATH_BYTES = 4095;
export const MAX_NAME_BYTES = 255;
/** A page of a directory, whatever the guest asks for. */
export const MAX_PAGE_BYTES = 256 * 1024;
/** id, op and flags. */
const HEAD_BYTES = 10;
/** Data or two paths, and what stands beside them. */
export const MAX_REQUEST_BYTES = MAX_DATA_BYTES + 16 * 1024;

export const OPS = {
  lookup: 1,
  getattr: 2,
  setattr: 3,
  readlink: 4,
  mkdir: 5,
  unlink: 6,
  rmdir: 7,
  symlink: 8,
  rename: 9,
  link: 10,
  open: 11,
  create: 12,
  read: 13,
  write: 14,
  fsync: 15,
  statfs: 16,
  readdir: 17,
  release: 18,
} as const;

const IS_RETRY = 1;

/** Numbers of Linux, which both ends run on, whatever their architectures. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EFBIG: 27,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ELOOP: 40,
} as const;

/** A request that is refused with an errno: nobody's fault, or the guest's. */
export class Refused extends Error {
  readonly errno: number;

  constructor(name: keyof typeof ERRNO) {
    super(name);
    this.errno = ERRNO[name];
  }
}

/** Bytes that no agent of ours sends: the attachment is given up. */
export class MalformedFrame extends Error {}

/** Reads the fields of one frame, none of them beyond its end. */
export class FieldReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #take(count: number): number {
    const at = this.#at;
    if (this.#bytes.length - at < count) throw new MalformedFrame("a frame ends within a field");
    this.#at += count;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  i64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  /** A length of two bytes, and as many bytes. */
  bytes(most: number): Buffer {
    const length = this.#bytes.readUInt16BE(this.#take(2));
    if (length > most) throw new Refused("ENAMETOOLONG");
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Buffer {
    const at = this.#take(this.#bytes.length - this.#at);
    return this.#bytes.subarray(at);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new MalformedFrame("a frame goes on after its last field");
  }
}

export interface Request {
  id: bigint;
  op: number;
  /** An earlier attachment ended before its answer arrived: it may have been done already. */
  isRetry: boolean;
  fields: FieldReader;
}

/** `frame` is what follows the length. */
export function parseRequest(frame: Buffer): Request {
  if (frame.length < HEAD_BYTES) throw new MalformedFrame("a frame without a head");
  const flags = frame.readUInt8(9);
  if ((flags & ~IS_RETRY) !== 0) throw new MalformedFrame("unknown flags");
  return {
    id: frame.readBigUInt64BE(0),
    op: frame.readUInt8(8),
    isRetry: flags === IS_RETRY,
    fields: new FieldReader(frame.subarray(HEAD_BYTES)),
  };
}

export function encodeAnswer(id: bigint, errno: number, payload: Buffer): Buffer {
  const out = Buffer.allocUnsafe(16 + payload.length);
  out.writeUInt32BE(12 + payload.length, 0);
  out.writeBigUInt64BE(id, 4);
  out.writeUInt32BE(errno, 12);
  payload.copy(out, 16);
  return out;
}

/** Cuts a guest's bytes into frames. */
export class FrameSplitter {
  #pieces: Buffer[] = [];
  #bytes = 0;

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** The next frame without its length, or undefined until it is whole. Throws MalformedFrame on a length that no frame has. */
  next(): Buffer | undefined {
    if (this.#bytes < 4) return undefined;
    const length = this.#peekLength();
    if (length < HEAD_BYTES || length > MAX_REQUEST_BYTES)
      throw new MalformedFrame(`a frame of ${length} bytes is none of a mount's`);
    if (this.#bytes < 4 + length) return undefined;
    return this.#take(4 + length).subarray(4);
  }

  #peekLength(): number {
    const first = this.#pieces[0] as Buffer;
    if (first.length < 4) this.#pieces = [Buffer.concat(this.#pieces)];
    return (this.#pieces[0] as Buffer).readUInt32BE(0);
  }

  #take(count: number): Buffer {
    let first = this.#pieces[0] as Buffer;
    if (first.length < count) {
      first = Buffer.concat(this.#pieces);
      this.#pieces = [first];
    }
    this.#bytes -= count;
    if (first.length === count) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(count);
    return first.subarray(0, count);
  }
}

const KINDS = { file: 1, directory: 2, symlink: 3 } as const;
export type Kind = keyof typeof KINDS;

const S_IFMT = 0o170000n;
const S_IFREG = 0o100000n;
const S_IFDIR = 0o040000n;
const S_IFLNK = 0o120000n;

/** Undefined for what is not served: devices, FIFOs, sockets. */
export function kindOf(stats: BigIntStats): Kind | undefined {
  switch (stats.mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    default:
      return undefined;
  }
}

export const ATTR_BYTES = 75;

/** The numbers of another file system than the root's are mixed with its own; the root's own number is the kernel's. */
function numberOf(stats: BigIntStats, rootDevice: bigint): bigint {
  const mixed = stats.dev === rootDevice ? stats.ino : stats.ino ^ (stats.dev << 40n) ^ (1n << 62n);
  const number = BigInt.asUintN(63, mixed);
  return number <= 1n ? number | (1n << 62n) : number;
}

export function writeAttr(out: Buffer, start: number, stats: BigIntStats, kind: Kind, rootDevice: bigint): void {
  let at = out.writeBigUInt64BE(numberOf(stats, rootDevice), start);
  // A number that is given to a new file comes with another time of birth.
  at = out.writeBigUInt64BE(BigInt.asUintN(64, stats.birthtimeNs), at);
  at = out.writeUInt8(KINDS[kind], at);
  at = out.writeUInt16BE(Number(stats.mode & 0o777n), at);
  at = out.writeUInt32BE(Number(BigInt.asUintN(32, stats.nlink)), at);
  at = out.writeBigUInt64BE(BigInt.asUintN(64, stats.size), at);
  at = out.writeBigUInt64BE(BigInt.asUintN(64, stats.blocks), at);
  for (const ns of [stats.atimeNs, stats.mtimeNs, stats.ctimeNs]) {
    const nanos = ((ns % BILLION) + BILLION) % BILLION;
    at = out.writeBigInt64BE((ns - nanos) / BILLION, at);
    at = out.writeUInt32BE(Number(nanos), at);
  }
}

const BILLION = 1_000_000_000n;

export function encodeAttr(stats: BigIntStats, kind: Kind, rootDevice: bigint): Buffer {
  const out = Buffer.allocUnsafe(ATTR_BYTES);
  writeAttr(out, 0, stats, kind, rootDevice);
  return out;
}
