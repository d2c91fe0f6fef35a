import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { decodeName } from "../archive/confined-path.ts";
import type { HostTree } from "../archive/host-tree.ts";
import type { WorkspaceSkipped } from "../contract/workspace.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { throwIfAborted } from "../platform/abort.ts";
import { IGNORE_FILE, type IsExcluded } from "./excludes.ts";
import { emptyFolder, type TreeFile, type TreeFolder, type TreeLeaf, tidyMode } from "./tree.ts";

const READ_BYTES = 256 * 1024;
const MAX_IGNORE_BYTES = 256 * 1024;

export interface HostScan {
  root: TreeFolder;
  skipped: WorkspaceSkipped[];
}

export interface HostScanOptions {
  isExcluded: IsExcluded;
  maxEntries: number;
  signal?: AbortSignal;
  onCount?: (count: number) => void;
}

/** What a host directory holds, every file with its digest. */
export async function scanHost(tree: HostTree, options: HostScanOptions): Promise<HostScan> {
  const skipped: WorkspaceSkipped[] = [];
  const root = emptyFolder();
  const waiting: [path: string, folder: TreeFolder][] = [["", root]];
  let count = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [folderPath, folder] = next;
    for (const entry of await tree.list(Buffer.from(folderPath))) {
      throwIfAborted(options.signal);
      const name = decodeName(entry.name);
      const shown = name ?? entry.name.toString("utf8");
      const path = folderPath === "" ? shown : `${folderPath}/${shown}`;
      if (options.isExcluded(path, entry.isDirectory())) continue;
      if (++count > options.maxEntries) throw tooMany(options.maxEntries);
      if (count % 1000 === 0) options.onCount?.(count);
      if (name === undefined) {
        skipped.push({ path, why: "its name is not UTF-8" });
        continue;
      }
      const found = entry.isFile() ? await readFile(tree, path) : await scanOne(tree, path);
      if (found === "other") skipped.push({ path, why: "no file, directory or link" });
      else if (found !== undefined) {
        folder.children.set(name, found);
        if (found.type === "directory") waiting.push([path, found]);
      }
    }
  }
  return { root, skipped };
}

function tooMany(maxEntries: number): FirebreakError {
  return new FirebreakError("ARCHIVE_TOO_LARGE", `the directory holds more than ${maxEntries} files and directories`, {
    hint: "Leave some out (--exclude, or a .firebreakignore), or raise --max-entries.",
    details: { maxEntries },
  });
}

async function scanOne(tree: HostTree, path: string): Promise<TreeLeaf | TreeFolder | "other" | undefined> {
  const info = await tree.stat(Buffer.from(path));
  if (info?.isDirectory()) return emptyFolder(tidyMode("directory", info.mode));
  return readLeaf(tree, path, info);
}

/** A file with its digest, or a link; `other` for what is neither nor. A directory is `other` too. */
export async function readLeaf(
  tree: HostTree,
  path: string,
  info?: Awaited<ReturnType<HostTree["stat"]>>,
): Promise<TreeLeaf | "other" | undefined> {
  const bytes = Buffer.from(path);
  const found = info ?? (await tree.stat(bytes));
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) {
    const target = decodeName(await tree.readLink(bytes));
    return target === undefined ? "other" : { type: "symlink", target };
  }
  return found.isFile() ? readFile(tree, path) : "other";
}

/** What was a file when its directory was listed; undefined when it is gone, `other` when it is none any more. */
async function readFile(tree: HostTree, path: string): Promise<TreeFile | "other" | undefined> {
  try {
    const { handle, info } = await tree.openFile(Buffer.from(path));
    try {
      return describeFile(info, await digestFile(handle, info.size));
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = error instanceof FirebreakError ? error.code : undefined;
    if (code === "HOST_PATH_NOT_FOUND") return undefined;
    if (code === "HOST_PATH_CHANGED") return "other";
    throw error;
  }
}

export function describeFile(info: { mode: number; size: number; mtimeMs: number }, sha256: string): TreeFile {
  return {
    type: "file",
    mode: tidyMode("file", info.mode),
    sizeBytes: info.size,
    mtimeMs: info.mtimeMs,
    sha256,
  };
}

async function digestFile(handle: FileHandle, sizeBytes: number): Promise<string> {
  const hash = createHash("sha256");
  // One byte more than it had when it was opened: a small file needs one read to be known to have ended.
  const length = Math.min(READ_BYTES, sizeBytes + 1);
  const piece = Buffer.allocUnsafe(length);
  for (;;) {
    const { bytesRead } = await handle.read(piece, 0, length, null);
    hash.update(piece.subarray(0, bytesRead));
    if (bytesRead < length) return hash.digest("hex");
  }
}

/** What a directory says is not to be synced; nothing where it has no such file. Throws INVALID_ARGUMENT when that is too long. */
export async function readIgnoreFile(tree: HostTree): Promise<string> {
  const place = Buffer.from(IGNORE_FILE);
  if (!(await tree.stat(place))?.isFile()) return "";
  const { handle, info } = await tree.openFile(place);
  try {
    if (info.size > MAX_IGNORE_BYTES)
      throw new FirebreakError("INVALID_ARGUMENT", `${IGNORE_FILE} has more than ${MAX_IGNORE_BYTES} bytes`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
