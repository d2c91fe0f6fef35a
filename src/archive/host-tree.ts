import { createHash, randomBytes } from "node:crypto";
import { constants, type Dirent, type Stats } from "node:fs";
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
} from "node:fs/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { joinPath, splitPath } from "./confined-path.ts";

/** O_PATH of fcntl.h, which Node does not name: a descriptor that only stands for the place. */
const O_PATH = 0o10000000;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Begins the names of files that are not in their place yet. */
export const TEMPORARY_PREFIX = ".firebreak-tmp-";

/**
 * One directory of this host and what is below it, whatever links lie in it: each folder is opened by its own name below the one before
 * (`/proc/self/fd/N/NAME`, O_NOFOLLOW), so no symlink, whoever made it and whenever, leads anywhere. Paths are bytes, relative, without `..`
 * (confinePath). Calls are made one after another.
 */
export class HostTree {
  readonly #root: FileHandle;
  readonly #isOnlyWriter: boolean;
  /** Paths come folder by folder, so the last one is most often the next one. */
  #last: { path: Buffer; handle: FileHandle } | undefined;

  private constructor(root: FileHandle, isOnlyWriter: boolean) {
    this.#root = root;
    this.#isOnlyWriter = isOnlyWriter;
  }

  /**
   * The directory itself may be named by way of links. Who is the only one to write to it finds what an earlier attempt, cut off, has left beside a
   * file's place, and replaces it. Throws HOST_PATH_NOT_FOUND.
   */
  static async open(directory: string, options: { isOnlyWriter?: boolean } = {}): Promise<HostTree> {
    try {
      const root = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
      return new HostTree(root, options.isOnlyWriter ?? false);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") throw translateHostError(error, Buffer.from(directory));
      throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such directory on this host: ${directory}`);
    }
  }

  async close(): Promise<void> {
    await this.#last?.handle.close();
    this.#last = undefined;
    await this.#root.close();
  }

  /** What is there, links not followed; undefined when there is nothing. */
  async stat(path: Buffer): Promise<Stats | undefined> {
    const place = await this.#find(path);
    return place === undefined ? undefined : lstat(place).catch(ignoreMissing);
  }

  async list(path: Buffer): Promise<Dirent<Buffer>[]> {
    const handle = await this.#folder(path, false);
    return readdir(Buffer.from(`/proc/self/fd/${handle.fd}`), { encoding: "buffer", withFileTypes: true });
  }

  async readLink(path: Buffer): Promise<Buffer> {
    return readlink(await this.#place(path, false), { encoding: "buffer" });
  }

  /** A regular file's handle and what it is. Throws on anything else that has taken its place. */
  async openFile(path: Buffer): Promise<{ handle: FileHandle; info: Stats }> {
    // Not to hang on a FIFO.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(await this.#place(path, false), flags).catch((error: unknown) => {
      throw translateHostError(error, path);
    });
    const info = await handle.stat();
    if (info.isFile()) return { handle, info };
    await handle.close();
    throw new FirebreakError("HOST_PATH_CHANGED", `${describePath(path)} is no regular file any more`);
  }

  /** Makes a directory and those above it; one that is there stays as it is. */
  async makeFolder(path: Buffer, mode?: number): Promise<void> {
    if (path.length === 0) return;
    const place = await this.#place(path, true);
    try {
      await mkdir(place, { mode: 0o700 });
    } catch (error) {
      const isFolder = (await lstat(place).catch(ignoreMissing))?.isDirectory();
      if (!isFolder) throw translateHostError(error, path);
      return;
    }
    await chmod(place, mode ?? 0o755); // made this moment, by us: no link
  }

  /**
   * A file as a whole: written beside its place and renamed into it. What was there is replaced, unless it is a directory. `isStillWanted` is asked
   * last, before the rename.
   */
  async writeFile(
    path: Buffer,
    content: AsyncIterable<Buffer>,
    settings: { mode: number; mtimeMs: number; isStillWanted?: () => Promise<void> },
  ): Promise<number> {
    const place = await this.#place(path, true);
    const temporary = await this.#temporaryFor(place);
    const handle = await open(temporary, NEW_FILE, 0o600).catch((error: unknown) => {
      throw translateHostError(error, path);
    });
    try {
      let bytes = 0;
      try {
        for await (const piece of content) {
          await writeAll(handle, piece);
          bytes += piece.length;
        }
        await handle.chmod(settings.mode & 0o777);
        const seconds = settings.mtimeMs / 1000;
        await handle.utimes(seconds, seconds);
      } finally {
        await handle.close();
      }
      await settings.isStillWanted?.();
      await rename(temporary, place);
      return bytes;
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw translateHostError(error, path);
    }
  }

  /** A symlink with whatever target: harmless here, since nothing is done through it. */
  async makeLink(path: Buffer, target: Buffer, isStillWanted?: () => Promise<void>): Promise<void> {
    const place = await this.#place(path, true);
    const temporary = await this.#temporaryFor(place);
    try {
      await symlink(target, temporary);
      await isStillWanted?.();
      await rename(temporary, place);
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw translateHostError(error, path);
    }
  }

  /** Of a file or a directory; a link's own place is not followed. */
  async setMode(path: Buffer, mode: number): Promise<void> {
    const handle = await open(await this.#place(path, false), O_PATH | constants.O_NOFOLLOW);
    try {
      await chmod(`/proc/self/fd/${handle.fd}`, mode & 0o777);
    } catch (error) {
      throw translateHostError(error, path);
    } finally {
      await handle.close();
    }
  }

  async removeFile(path: Buffer): Promise<void> {
    await unlink(await this.#place(path, false)).catch((error: unknown) => {
      throw translateHostError(error, path);
    });
  }

  /** Returns false when something is left in it. */
  async removeFolder(path: Buffer): Promise<boolean> {
    const place = await this.#place(path, false);
    if (this.#last !== undefined && startsWithPath(this.#last.path, path)) await this.#forget();
    try {
      await rmdir(place);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOTEMPTY" || code === "EEXIST") return false;
      throw translateHostError(error, path);
    }
  }

  /** Removes what an earlier attempt to put something there has left, when nothing is put there after all. */
  async forgetAttempt(path: Buffer): Promise<void> {
    if (this.#isOnlyWriter) await this.#temporaryFor(await this.#place(path, false)).catch(() => {}); // no folder, no attempt
  }

  /** A name beside a place that nothing has. */
  async #temporaryFor(place: Buffer): Promise<Buffer> {
    const end = place.lastIndexOf(0x2f) + 1;
    const name = place.subarray(end);
    const suffix = this.#isOnlyWriter
      ? createHash("sha256").update(name).digest("hex").slice(0, 16)
      : randomBytes(8).toString("hex");
    const temporary = Buffer.concat([place.subarray(0, end), Buffer.from(`${TEMPORARY_PREFIX}${suffix}`)]);
    if (this.#isOnlyWriter) await unlink(temporary).catch(ignoreMissing);
    return temporary;
  }

  async #find(path: Buffer): Promise<Buffer | undefined> {
    try {
      return await this.#place(path, false);
    } catch (error) {
      if (error instanceof FirebreakError && error.code === "HOST_PATH_NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** A path that the kernel walks without a link; good until the next call. */
  async #place(path: Buffer, makesFolders: boolean): Promise<Buffer> {
    const parts = splitPath(path);
    const name = parts.pop();
    if (name === undefined) return Buffer.from(`/proc/self/fd/${this.#root.fd}`);
    const handle = await this.#folder(joinPath(parts), makesFolders);
    return Buffer.concat([Buffer.from(`/proc/self/fd/${handle.fd}/`), name]);
  }

  async #folder(path: Buffer, makes: boolean): Promise<FileHandle> {
    if (path.length === 0) return this.#root;
    if (this.#last?.path.equals(path)) return this.#last.handle;
    await this.#forget();
    let handle = this.#root;
    for (const part of splitPath(path)) {
      const above = handle;
      const place = Buffer.concat([Buffer.from(`/proc/self/fd/${above.fd}/`), part]);
      try {
        handle = await openFolder(place, makes);
      } catch (error) {
        throw translateHostError(error, path);
      } finally {
        if (above !== this.#root) await above.close();
      }
    }
    this.#last = { path: Buffer.from(path), handle };
    return handle;
  }

  async #forget(): Promise<void> {
    const last = this.#last;
    this.#last = undefined;
    await last?.handle.close();
  }
}

async function openFolder(place: Buffer, makes: boolean): Promise<FileHandle> {
  try {
    return await open(place, FOLDER);
  } catch (error) {
    if (!makes || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(place, { mode: 0o755 });
    return open(place, FOLDER);
  }
}

async function writeAll(handle: FileHandle, piece: Buffer): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await handle.write(piece, at)).bytesWritten;
}

function startsWithPath(path: Buffer, start: Buffer): boolean {
  return path.subarray(0, start.length).equals(start) && (path.length === start.length || path[start.length] === 0x2f);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

/** A path for a message; control characters are taken out where messages are printed. */
export function describePath(path: Buffer): string {
  return path.toString("utf8");
}

/** What the host's file system says about a path below the tree, with the codes of the catalogue. */
export function translateHostError(error: unknown, path: Buffer): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const shown = describePath(path);
  switch (code) {
    case "ENOENT":
      return new FirebreakError("HOST_PATH_NOT_FOUND", `no such file or directory on this host: ${shown}`, {
        cause: error,
      });
    case "ELOOP":
    case "ENOTDIR":
    case "EISDIR":
    case "EEXIST":
    case "ENOTEMPTY":
      return new FirebreakError(
        "HOST_PATH_CHANGED",
        `${shown}: something of another kind is in its place on this host, or in that of a directory above it`,
        { cause: error },
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new FirebreakError("PERMISSION_DENIED", `${shown} cannot be changed or read on this host (${code})`, {
        cause: error,
      });
    default:
      return error;
  }
}
