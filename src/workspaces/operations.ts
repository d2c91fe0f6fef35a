import type { WorkspaceChange } from "../contract/workspace.ts";
import { isSameNode, type TreeFile, type TreeFolder, type TreeLeaf, type TreeNode } from "./tree.ts";

/** One change to a directory. `was` is what has to be in the place for it to be made. */
export type Operation =
  | { kind: "remove"; path: string; was: TreeLeaf }
  | { kind: "remove_folder"; path: string }
  | { kind: "make_folder"; path: string; mode: number }
  | { kind: "put"; path: string; was?: TreeLeaf; node: TreeLeaf }
  | { kind: "set_mode"; path: string; was: TreeFile | { type: "directory" }; mode: number };

/** What turns one tree into another, in an order in which it can be done. */
export function planOperations(from: TreeFolder, to: TreeFolder): Operation[] {
  return [...compareFolders(from, to, "")];
}

function* compareFolders(from: TreeFolder, to: TreeFolder, prefix: string): Generator<Operation> {
  for (const [name, node] of from.children) if (!to.children.has(name)) yield* remove(node, `${prefix}${name}`);
  for (const [name, node] of to.children) yield* replace(from.children.get(name), node, `${prefix}${name}`);
}

function* remove(node: TreeNode, path: string): Generator<Operation> {
  if (node.type !== "directory") return yield { kind: "remove", path, was: node };
  for (const [name, child] of node.children) yield* remove(child, `${path}/${name}`);
  yield { kind: "remove_folder", path };
}

function* replace(from: TreeNode | undefined, to: TreeNode, path: string): Generator<Operation> {
  if (to.type === "directory") {
    if (from?.type === "directory") {
      if (from.mode !== to.mode) yield { kind: "set_mode", path, was: { type: "directory" }, mode: to.mode };
      return yield* compareFolders(from, to, `${path}/`);
    }
    if (from !== undefined) yield* remove(from, path);
    yield { kind: "make_folder", path, mode: to.mode };
    for (const [name, child] of to.children) yield* replace(undefined, child, `${path}/${name}`);
    return;
  }
  if (isSameNode(from, to)) return;
  if (from?.type === "directory") {
    yield* remove(from, path);
    return yield { kind: "put", path, node: to };
  }
  if (from?.type === "file" && to.type === "file" && from.sha256 === to.sha256)
    return yield { kind: "set_mode", path, was: from, mode: to.mode };
  yield { kind: "put", path, node: to, ...(from === undefined ? {} : { was: from }) };
}

/** Operations as a report tells of them: a file that becomes a directory is one change of its path. */
export function toChanges(operations: readonly Operation[]): WorkspaceChange[] {
  const changes = new Map<string, WorkspaceChange>();
  for (const operation of operations) {
    const { path } = operation;
    const isNew = operation.kind === "make_folder" || (operation.kind === "put" && operation.was === undefined);
    const isGone = operation.kind === "remove" || operation.kind === "remove_folder";
    const change = changes.has(path) ? "updated" : isNew ? "created" : isGone ? "deleted" : "updated";
    changes.set(path, { path, change });
  }
  return [...changes.values()];
}
