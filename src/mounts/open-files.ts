import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync } from "node:fs";
import { type ConfinedRoot, errnoOf, type Place } from "./confined-root.ts";
import { ERRNO, kindOf, Refused } from "./wire.ts";

export const ACCESS_MODES = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR;
/** Not to hang on what is no regular file, however it came there. */
const ALWAYS = constants.O_NONBLOCK | constants.O_NOCTTY;
/** The bits that have a program run as its owner or group. */
export const SETID = 0o6000n;

export interface OpenFile {
  fd: number;
  isWritable: boolean;
}

/** The files that a guest has open, by the numbers that it has given them. */
export class OpenFiles {
  readonly #most: number;
  readonly #files = new Map<bigint, OpenFile>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#files.size;
  }

  /** Throws Refused EBADF. */
  get(handle: bigint): OpenFile {
    const open = this.#files.get(handle);
    if (open === undefined) throw new Refused("EBADF");
    return open;
  }

  add(handle: bigint, file: OpenFile): void {
    this.#files.set(handle, file);
  }

  /** Before a file is opened. Throws Refused ENFILE. */
  requireRoom(): void {
    if (this.#files.size >= this.#most) throw new Refused("ENFILE");
  }

  close(handle: bigint): void {
    const open = this.#files.get(handle);
    this.#files.delete(handle);
    if (open !== undefined) closeSync(open.fd);
  }

  closeAll(): void {
    for (const { fd } of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }
}

/** What is there is looked at before it is opened: opening a device or a FIFO does something. */
export function openFile(root: ConfinedRoot, place: Place, flags: number): number {
  return root.pinned(place, (self, stats) => {
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

export interface FileRequest {
  access: number;
  flags: number;
  mode: number;
  isRetry: boolean;
}

/** A new file, or one that is there, unless the flags want a new one. */
export function makeFile(root: ConfinedRoot, place: Place, { access, flags, mode, isRetry }: FileRequest): number {
  const isExclusive = (flags & constants.O_EXCL) !== 0 && !isRetry;
  let fd: number;
  try {
    const makes = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    fd = openSync(place.path, access | makes | ALWAYS, 0o600);
  } catch (error) {
    if (isExclusive || errnoOf(error) !== ERRNO.EEXIST) throw error;
    return openFile(root, place, access | (flags & constants.O_TRUNC));
  }
  try {
    const stats = fstatSync(fd, { bigint: true });
    root.own(stats, place.folder, (uid, gid) => fchownSync(fd, uid, gid));
    fchmodSync(fd, mode & 0o777);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
