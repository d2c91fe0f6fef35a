import { randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import type { HostTree } from "../archive/host-tree.ts";
import { packTree } from "../archive/pack.ts";
import type { TarItem } from "../archive/tar-writer.ts";
import type { WorkspaceBackup } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { listNodes, type TreeFolder } from "./tree.ts";
import type { WorkspaceStore } from "./workspace-store.ts";

/** Backups that are kept of one directory; the oldest go. */
export const KEPT_BACKUPS = 10;
const SUFFIX = ".tar.zst";

/** Directories as they were before a sync changed them. */
export class Backups {
  readonly #folder: string;
  readonly #store: WorkspaceStore;

  constructor(folder: string, store: WorkspaceStore) {
    this.#folder = folder;
    this.#store = store;
  }

  list(): WorkspaceBackup[] {
    return this.#store.listBackups();
  }

  get(id: string): WorkspaceBackup {
    const backup = this.list().find((candidate) => candidate.id === id);
    if (backup !== undefined) return backup;
    throw new FirebreakError("BACKUP_NOT_FOUND", `no backup has the id '${id}'`, {
      hint: "List them: firebreak workspace backups",
    });
  }

  /** Keeps what a scan found in a directory, and lets the oldest of that directory go. */
  async create(
    tree: HostTree,
    scan: TreeFolder,
    about: { directory: string; vmName?: string },
    signal?: AbortSignal,
  ): Promise<WorkspaceBackup> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const createdAt = new Date().toISOString();
    const id = `b${createdAt.replace(/[^0-9]/g, "").slice(0, 14)}-${randomBytes(3).toString("hex")}`;
    const file = path.join(this.#folder, `${id}${SUFFIX}`);
    const partial = `${file}.part`;
    try {
      await pipeline(
        Readable.from(packTree(tree, items(tree, scan)), { objectMode: false }),
        createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
        createWriteStream(partial, { mode: 0o600, flags: "wx", flush: true }),
        ...(signal === undefined ? [] : [{ signal }]),
      );
      await rename(partial, file);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    const backup: WorkspaceBackup = { id, ...about, createdAt, sizeBytes: (await stat(file)).size, file };
    this.#store.addBackup(backup);
    const older = this.list().filter((other) => other.directory === about.directory);
    for (const old of older.slice(KEPT_BACKUPS)) await this.delete(old.id);
    return backup;
  }

  /** Its tar stream. */
  read(backup: WorkspaceBackup): AsyncIterable<Buffer> {
    const source = createReadStream(backup.file);
    const plain = createZstdDecompress();
    pipeline(source, plain).catch((error: Error) => plain.destroy(error)); // whoever reads hears it
    return plain;
  }

  async delete(id: string): Promise<void> {
    const backup = this.get(id);
    this.#store.removeBackup(id);
    await rm(backup.file, { force: true });
  }

  /** Removes what a daemon that died left half written. */
  async sweep(): Promise<void> {
    const known = new Set(this.list().map((backup) => path.basename(backup.file)));
    for (const name of await readdir(this.#folder).catch(() => [] as string[]))
      if (!known.has(name)) await rm(path.join(this.#folder, name), { force: true });
  }
}

async function* items(tree: HostTree, scan: TreeFolder): AsyncGenerator<TarItem> {
  for (const [name, node] of listNodes(scan)) {
    const path = Buffer.from(name);
    // What is read again when it is opened need not be looked at twice; a directory's or a link's time is of no interest.
    if (node.type === "file") {
      yield { path, type: "file", mtimeMs: node.mtimeMs, mode: node.mode, sizeBytes: node.sizeBytes };
      continue;
    }
    // One that has gone since the scan cannot be kept, nor will the sync miss it.
    const info = await tree.stat(path);
    if (info === undefined) continue;
    const base = { path, mtimeMs: info.mtimeMs, mode: info.mode & 0o777, sizeBytes: info.size };
    if (info.isDirectory()) yield { ...base, type: "directory" };
    else if (info.isFile()) yield { ...base, type: "file" };
    else if (node.type === "symlink" && info.isSymbolicLink())
      yield { ...base, type: "symlink", target: await tree.readLink(path) };
  }
}
