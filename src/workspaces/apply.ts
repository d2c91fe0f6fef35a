import { createHash } from "node:crypto";
import type { HostTree } from "../archive/host-tree.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { throwIfAborted } from "../platform/abort.ts";
import { readLeaf } from "./host-scan.ts";
import type { Operation } from "./operations.ts";
import type { Staging } from "./staging.ts";
import { isSameNode, type TreeFile, type TreeLeaf } from "./tree.ts";

export interface ApplyOptions {
  staging: Staging;
  signal?: AbortSignal;
  onCount?: (done: number) => void;
}

/** A file that somebody has changed since it was looked at is left alone. */
class ChangedMeanwhile extends Error {}

/** Folders are made when they are missing: one that is missing all the same has been taken away this moment. */
const CHANGED: ReadonlySet<string> = new Set(["HOST_PATH_CHANGED", "HOST_PATH_NOT_FOUND"]);

/**
 * Makes the changes to a host directory, each whole or not at all, and only where what is there is still what the plan was made from; what is done already is
 * passed over, so that a change that was cut off goes on where it stopped. Returns the paths that somebody else has changed meanwhile.
 */
export async function applyToHost(
  tree: HostTree,
  operations: readonly Operation[],
  options: ApplyOptions,
): Promise<string[]> {
  const changed: string[] = [];
  let done = 0;
  for (const operation of operations) {
    throwIfAborted(options.signal);
    try {
      await applyOne(tree, operation, options.staging);
    } catch (error) {
      const isOthers =
        error instanceof ChangedMeanwhile || (error instanceof FirebreakError && CHANGED.has(error.code));
      if (!isOthers) throw error;
      if (operation.kind === "put") await tree.forgetAttempt(Buffer.from(operation.path));
      changed.push(operation.path);
    }
    if (++done % 500 === 0) options.onCount?.(done);
  }
  return changed;
}

async function applyOne(tree: HostTree, operation: Operation, staging: Staging): Promise<void> {
  const path = Buffer.from(operation.path);
  switch (operation.kind) {
    case "remove":
      if (await isThere(tree, operation.path, operation.was)) await tree.removeFile(path);
      return;
    case "remove_folder": {
      const info = await tree.stat(path);
      // What is left in it is not of this sync: excluded, or new.
      if (info?.isDirectory()) await tree.removeFolder(path);
      return;
    }
    case "make_folder":
      return tree.makeFolder(path, operation.mode);
    case "set_mode": {
      const info = await tree.stat(path);
      if (info === undefined || info.isSymbolicLink() || info.isDirectory() !== (operation.was.type === "directory"))
        throw new ChangedMeanwhile();
      return tree.setMode(path, operation.mode);
    }
    case "put":
      return putLeaf(tree, operation, staging);
  }
}

async function putLeaf(
  tree: HostTree,
  { path, was, node }: Extract<Operation, { kind: "put" }>,
  staging: Staging,
): Promise<void> {
  const check = async () => {
    if (!(await isUntouched(tree, path, was))) throw new ChangedMeanwhile();
  };
  if (!(await isUntouched(tree, path, was))) {
    const current = await readLeaf(tree, path);
    // Done already, by a daemon that died.
    if (current !== "other" && isSameNode(current, node)) return;
    throw new ChangedMeanwhile();
  }
  const bytes = Buffer.from(path);
  if (node.type === "symlink") return tree.makeLink(bytes, Buffer.from(node.target), check);
  await tree.writeFile(bytes, verified(staging.read(node), node), { ...node, isStillWanted: check });
}

/** Content as it was staged, or an error before it is in its place: a power cut may have taken some of it. */
async function* verified(content: AsyncIterable<Buffer>, node: TreeFile): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  for await (const piece of content) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest("hex") !== node.sha256)
    throw new FirebreakError(
      "WORKSPACE_STAGING_LOST",
      "what was read from the VM has been damaged on this host's disk",
      {
        hint: "Pull again while the VM runs.",
      },
    );
}

async function isThere(tree: HostTree, path: string, was: TreeLeaf): Promise<boolean> {
  const info = await tree.stat(Buffer.from(path));
  if (info === undefined) return false;
  if (await isUntouched(tree, path, was)) return true;
  throw new ChangedMeanwhile();
}

/** By size and time where they are as they were, else by content. */
async function isUntouched(tree: HostTree, path: string, was: TreeLeaf | undefined): Promise<boolean> {
  const info = await tree.stat(Buffer.from(path));
  if (info === undefined || was === undefined) return info === was;
  if (was.type === "file" && info.isFile() && info.size === was.sizeBytes && info.mtimeMs === was.mtimeMs) return true;
  const current = await readLeaf(tree, path, info);
  return current !== "other" && isSameNode(current, was);
}
