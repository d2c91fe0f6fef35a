import { confinePath, decodeName } from "../archive/confined-path.ts";
import { describePath } from "../archive/host-tree.ts";
import { invalidArchive } from "../archive/tar-format.ts";
import { type ArchiveLimits, readTar, type TarEntry } from "../archive/tar-reader.ts";
import { requireTarget } from "../archive/unpack.ts";
import type { WorkspaceSkipped } from "../contract/workspace.ts";
import { throwIfAborted } from "../platform/abort.ts";
import { type IsExcluded, leadsOut } from "./excludes.ts";
import type { Staging } from "./staging.ts";
import {
  emptyFolder,
  findNode,
  folderFor,
  isSameNode,
  setNode,
  type TreeFolder,
  type TreeNode,
  tidyMode,
} from "./tree.ts";

export interface ArchiveTree {
  root: TreeFolder;
  skipped: WorkspaceSkipped[];
  /** Directories with something in them that the tree does not show. */
  partial: Set<string>;
}

export interface ArchiveTreeOptions {
  isExcluded: IsExcluded;
  limits: ArchiveLimits;
  /** What was common before: that is trusted to be as it was. */
  base: TreeFolder;
  /** A guest's: links that lead out are left out. */
  isGuests: boolean;
  /** Where content goes that is wanted; nowhere when it is absent. */
  staging?: { place: Staging; isWanted: (path: string, sha256: string) => boolean };
  signal?: AbortSignal;
  onCount?: (count: number) => void;
}

/**
 * The tree that a tar stream holds. What is left out of it (names that are not UTF-8, links that lead out, …) is replaced by what was there at the
 * last sync, so that it counts as unchanged.
 */
export async function readArchiveTree(
  archive: AsyncIterable<Buffer>,
  options: ArchiveTreeOptions,
): Promise<ArchiveTree> {
  const { base, isExcluded, staging } = options;
  const tree: ArchiveTree = { root: emptyFolder(), skipped: [], partial: new Set() };
  let count = 0;
  for await (const entry of readTar(archive, options.limits)) {
    throwIfAborted(options.signal);
    if (++count % 1000 === 0) options.onCount?.(count);
    const bytes = confinePath(entry.path);
    if (bytes.length === 0) continue;
    const path = decodeName(bytes);
    const shown = path ?? describePath(bytes);
    if (isExcluded(shown, entry.type === "directory")) {
      notePartial(shown, tree);
      continue;
    }
    const why = path === undefined ? "its name is not UTF-8" : whyRefused(entry);
    if (path === undefined || why !== undefined) {
      leaveOut(shown, why ?? "", tree, base);
      continue;
    }
    const node = await readNode(path, entry, staging);
    const reason = options.isGuests ? whyUnwanted(path, node) : undefined;
    // What the host itself has put there may stay.
    if (reason !== undefined && !isSameNode(node, findNode(base, path))) leaveOut(path, reason, tree, base);
    else put(path, node, tree.root);
  }
  return tree;
}

function whyRefused(entry: TarEntry): string | undefined {
  if (entry.type === "link") return "a hard link";
  if (entry.type === "other") return "no file, directory or link";
  if (entry.type === "symlink" && decodeName(requireTarget(entry.target)) === undefined)
    return "its target is not UTF-8";
  return undefined;
}

function whyUnwanted(path: string, node: TreeNode): string | undefined {
  if (node.type === "symlink" && leadsOut(path, node.target)) return "a link that leads out of the workspace";
  return undefined;
}

async function readNode(path: string, entry: TarEntry, staging: ArchiveTreeOptions["staging"]): Promise<TreeNode> {
  if (entry.type === "directory") return emptyFolder(tidyMode("directory", entry.mode));
  if (entry.type === "symlink") return { type: "symlink", target: requireTarget(entry.target).toString("utf8") };
  const { sha256, sizeBytes } = await digest(path, entry, staging);
  return { type: "file", mode: tidyMode("file", entry.mode), sizeBytes, mtimeMs: entry.mtimeMs, sha256 };
}

async function digest(path: string, entry: TarEntry, staging: ArchiveTreeOptions["staging"]) {
  if (staging !== undefined)
    return staging.place.take(entry.content, entry.sizeBytes, (sha256) => staging.isWanted(path, sha256));
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  for await (const piece of entry.content) hash.update(piece);
  return { sha256: hash.digest("hex"), sizeBytes: entry.sizeBytes };
}

function put(path: string, node: TreeNode, root: TreeFolder): void {
  const place = folderFor(root, path);
  if (place === undefined) throw invalidArchive(`${JSON.stringify(path)} lies in what is no directory`);
  const there = place.folder.children.get(place.name);
  if (there === undefined) place.folder.children.set(place.name, node);
  // Something in it came before it.
  else if (there.type === "directory" && node.type === "directory") there.mode = node.mode;
  else throw invalidArchive(`two entries are named ${JSON.stringify(path)}`);
}

/** Puts what was there at the last sync, maybe nothing, in the place of what an archive had. */
export function takeBack(path: string, why: string, tree: ArchiveTree, before: TreeNode | undefined): void {
  tree.skipped.push({ path, why });
  notePartial(path, tree);
  setNode(tree.root, path, before);
}

function leaveOut(path: string, why: string, tree: ArchiveTree, base: TreeFolder): void {
  tree.skipped.push({ path, why });
  notePartial(path, tree);
  const before = findNode(base, path);
  const place = before === undefined ? undefined : folderFor(tree.root, path);
  if (before !== undefined && place !== undefined) place.folder.children.set(place.name, before);
}

function notePartial(path: string, { partial }: ArchiveTree): void {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    const folder = path.slice(0, end);
    if (partial.has(folder)) return;
    partial.add(folder);
  }
}
