import { FirebreakError } from "../errors/firebreak-error.ts";
import { confinePath, joinPath, splitPath } from "./confined-path.ts";
import { describePath, type HostTree } from "./host-tree.ts";
import { invalidArchive } from "./tar-format.ts";
import { type ArchiveLimits, readTar } from "./tar-reader.ts";

export interface UnpackResult {
  entries: number;
  bytes: number;
  /** Devices and the like, which are not made. */
  skipped: string[];
}

/**
 * Makes what a guest's archive holds below a host directory. No entry leaves it: names are confined, folders are never links, links are made last,
 * as they are, and hard links are refused, since no honest guest sends any. A setuid program becomes an ordinary one.
 */
export async function unpackTo(
  tree: HostTree,
  archive: AsyncIterable<Buffer>,
  limits: ArchiveLimits,
): Promise<UnpackResult> {
  const result: UnpackResult = { entries: 0, bytes: 0, skipped: [] };
  const folders = new Set<string>();
  const links = new Map<string, Buffer>();
  const folderModes: [Buffer, number][] = [];
  for await (const entry of readTar(archive, limits)) {
    const path = confinePath(entry.path);
    if (path.length === 0) continue;
    const key = path.toString("latin1");
    noteFolders(path, folders, links);
    if (links.has(key)) throw invalidArchive(`two entries are named ${JSON.stringify(describePath(path))}`);
    result.entries++;
    switch (entry.type) {
      case "file":
        result.bytes += await tree.writeFile(path, entry.content, entry);
        break;
      case "directory":
        folders.add(key);
        await tree.makeFolder(path);
        folderModes.push([path, entry.mode]);
        break;
      case "symlink":
        if (folders.has(key)) throw invalidArchive(`${JSON.stringify(describePath(path))} is a directory and a link`);
        links.set(key, requireTarget(entry.target));
        break;
      case "link":
        throw invalidArchive(`${JSON.stringify(describePath(path))} is a hard link`);
      case "other":
        result.skipped.push(describePath(path));
    }
  }
  for (const [key, target] of links) await tree.makeLink(Buffer.from(key, "latin1"), target);
  // The innermost first: one that its owner may not write to takes nothing more.
  for (const [path, mode] of folderModes.reverse()) await tree.setMode(path, mode | 0o700);
  return result;
}

/** The directories that an entry lies in; none of them may be a link of the archive. */
function noteFolders(path: Buffer, folders: Set<string>, links: Map<string, Buffer>): void {
  const parts = splitPath(path);
  for (let depth = parts.length - 1; depth > 0; depth--) {
    const key = joinPath(parts.slice(0, depth)).toString("latin1");
    if (links.has(key)) throw invalidArchive(`${JSON.stringify(describePath(path))} passes through a link`);
    if (folders.has(key)) return;
    folders.add(key);
  }
}

export function requireTarget(target: Buffer | undefined): Buffer {
  if (target !== undefined && target.length > 0 && target.length <= 4095 && !target.includes(0)) return target;
  throw invalidArchive("a link to nothing");
}

/** What a stream of the guest's ended with, as an error of the archive where it is none of ours. */
export function asArchiveError(error: unknown): FirebreakError {
  if (error instanceof FirebreakError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new FirebreakError("HOST_DISK_FULL", "no space is left on the host's disk", { cause: error });
  return new FirebreakError("ARCHIVE_INVALID", `the VM's archive was refused: ${message}`, { cause: error });
}
