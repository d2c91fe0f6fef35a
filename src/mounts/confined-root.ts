import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  lstatSync,
  openSync,
  statfsSync,
} from "node:fs";
import path from "node:path";
import { ERRNO, MAX_NAME_BYTES, MAX_PATH_BYTES, Refused } from "./wire.ts";

/** O_PATH of fcntl.h, which Node does not name: a descriptor that only stands for the place. */
const O_PATH = 0o10000000;
const PLACE = O_PATH | constants.O_NOFOLLOW;
const FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const SLASH = 0x2f;
const DOT = 0x2e;

/** File systems whose files are the kernel's or other processes' own (statfs(2)). */
const KERNELS_OWN = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0xcafe4a11, // bpf
  0x1cd1, // devpts
  0x62656570, // configfs
  0x6165676c, // pstore
  0xde5e81e4, // efivarfs
  0x65735543, // fusectl
  0xf97cff8c, // selinuxfs
  0x6e736673, // nsfs
  0x19800202, // mqueue
]);

/** A place below the root: a descriptor of its directory, and the path that the kernel walks from there without a link. */
export interface Place {
  /** `/proc/self/fd/N/NAME`, good while `work` of `at` runs. */
  path: Buffer;
  /** Of the directory that it lies in. */
  folder: BigIntStats;
}

/**
 * One directory (or single file) of this host, and what is below it. Each directory is opened by its name below the one before (O_PATH, O_NOFOLLOW), so no
 * symlink, whoever made it and whenever, leads anywhere; `..` and absolute names are no names. All calls are synchronous: they are made on a
 * thread for it.
 */
export class ConfinedRoot {
  /** Of the root; of a single file, of the directory that it lies in. */
  readonly #fd: number;
  /** Set for a single file. */
  readonly #name: Buffer | undefined;
  readonly device: bigint;
  /** Who new files belong to, where this process is root: not root, in a user's project. */
  readonly #owner: { uid: number; gid: number } | undefined;
  readonly #knownDevices = new Set<bigint>();

  /** `hostPath` is absolute and has no symlink in it (realpath). Throws what opening it says, or Refused for what is not to be served. */
  constructor(hostPath: string) {
    const stats = lstatSync(hostPath, { bigint: true });
    const isFile = stats.isFile();
    if (!isFile && !stats.isDirectory()) throw new Refused("EACCES");
    this.#fd = openSync(isFile ? path.dirname(hostPath) : hostPath, FOLDER);
    try {
      this.#name = isFile ? Buffer.from(path.basename(hostPath)) : undefined;
      const root = this.folderStats(this.#fd);
      this.device = root.dev;
      const owner = isFile ? stats : root;
      if (process.geteuid?.() === 0) this.#owner = { uid: Number(owner.uid), gid: Number(owner.gid) };
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  get isFile(): boolean {
    return this.#name !== undefined;
  }

  /** Calls `work` with the place of a path; the root itself is a place only where `allowsRoot`. */
  at<T>(raw: Buffer, work: (place: Place) => T, allowsRoot = false): T {
    const names = splitNames(raw);
    if (this.#name !== undefined) {
      // Nothing but the file itself is there.
      if (names.length > 0) throw new Refused("ENOTDIR");
      if (!allowsRoot) throw new Refused("EBUSY");
      return work({ path: joinPlace(this.#fd, this.#name), folder: this.folderStats(this.#fd) });
    }
    const name = names.pop();
    if (name === undefined) {
      if (!allowsRoot) throw new Refused("EBUSY");
      return work({ path: Buffer.from(`/proc/self/fd/${this.#fd}/.`), folder: this.folderStats(this.#fd) });
    }
    const fd = this.#walk(names);
    try {
      return work({ path: joinPlace(fd, name), folder: this.folderStats(fd) });
    } finally {
      if (fd !== this.#fd) closeSync(fd);
    }
  }

  #walk(names: readonly Buffer[]): number {
    let fd = this.#fd;
    for (const name of names) {
      const above = fd;
      try {
        fd = openSync(joinPlace(above, name), FOLDER);
      } finally {
        if (above !== this.#fd) closeSync(above);
      }
    }
    return fd;
  }

  /** Throws Refused in a file system that is not to be served. */
  folderStats(fd: number): BigIntStats {
    const stats = fstatSync(fd, { bigint: true });
    this.checkDevice(stats.dev, `/proc/self/fd/${fd}`);
    return stats;
  }

  /** `somewhere` is a path within the file system that has this device number. */
  checkDevice(device: bigint, somewhere: string | Buffer): void {
    if (this.#knownDevices.has(device)) return;
    if (KERNELS_OWN.has(statfsSync(somewhere).type >>> 0)) throw new Refused("EACCES");
    this.#knownDevices.add(device);
  }

  /** What is there, links not followed. Throws Refused ENOENT. */
  stat(place: Place): BigIntStats {
    const stats = lstatSync(place.path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) throw new Refused("ENOENT");
    if (stats.dev !== place.folder.dev) this.checkDevice(stats.dev, place.path);
    return stats;
  }

  /** Calls `work` with a descriptor of what is there itself, which nothing can take the place of any more. */
  pinned<T>(place: Place, work: (self: string, stats: BigIntStats) => T): T {
    const fd = openSync(place.path, PLACE);
    try {
      const stats = fstatSync(fd, { bigint: true });
      const self = `/proc/self/fd/${fd}`;
      if (stats.dev !== place.folder.dev) this.checkDevice(stats.dev, self);
      return work(self, stats);
    } finally {
      closeSync(fd);
    }
  }

  /** A directory or file that has just been made gets its owner and mode, whatever this process's umask. */
  finish(place: Place, mode: number): void {
    this.pinned(place, (self, stats) => {
      if (stats.isSymbolicLink()) throw new Refused("ELOOP");
      this.own(stats, place.folder, (uid, gid) => chownSync(self, uid, gid));
      chmodSync(self, (mode & 0o777) | keptBits(stats));
    });
  }

  ownLink(place: Place): void {
    const stats = this.stat(place);
    if (stats.isSymbolicLink()) this.own(stats, place.folder, (uid, gid) => lchownSync(place.path, uid, gid));
  }

  own(made: BigIntStats, folder: BigIntStats, chown: (uid: number, gid: number) => void): void {
    if (this.#owner === undefined) return;
    // A directory may give its group to what is made in it.
    const gid = (folder.mode & 0o2000n) !== 0n ? Number(made.gid) : this.#owner.gid;
    if (Number(made.uid) !== this.#owner.uid || Number(made.gid) !== gid) chown(this.#owner.uid, gid);
  }
}

/** What a directory has beside its permissions stays; a file never has any by a guest's will. */
export function keptBits(stats: BigIntStats): number {
  return stats.isDirectory() ? Number(stats.mode & 0o7000n) : 0;
}

function joinPlace(fd: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}

/** The names of a path, each of which is one: not empty, `.` or `..`, without NUL. Throws Refused EINVAL or ENAMETOOLONG. */
export function splitNames(raw: Buffer): Buffer[] {
  if (raw.length === 0) return [];
  if (raw.length > MAX_PATH_BYTES) throw new Refused("ENAMETOOLONG");
  if (raw.includes(0)) throw new Refused("EINVAL");
  const names: Buffer[] = [];
  for (let at = 0; at <= raw.length; ) {
    const next = raw.indexOf(SLASH, at);
    const end = next < 0 ? raw.length : next;
    const name = raw.subarray(at, end);
    const isDots = name.length <= 2 && name.every((byte) => byte === DOT);
    if (isDots) throw new Refused("EINVAL");
    if (name.length > MAX_NAME_BYTES) throw new Refused("ENAMETOOLONG");
    names.push(name);
    at = end + 1;
  }
  return names;
}

/** The number of what a call of the host's failed with. */
export function errnoOf(error: unknown): number {
  if (error instanceof Refused) return error.errno;
  const { errno, code } = error as NodeJS.ErrnoException;
  if (typeof errno === "number" && errno < 0 && errno > -512) return -errno;
  // Node's own checks of arguments, which the caller's should have come before.
  return code?.startsWith("ERR_") ? ERRNO.EINVAL : ERRNO.EIO;
}
