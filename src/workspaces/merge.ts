import { isSameNode, type TreeFolder, type TreeNode } from "./tree.ts";

/** Whose version a conflict ends with; `neither` leaves it alone. */
export type Winner = "receiver" | "sender" | "both" | "neither";

export interface Conflict {
  path: string;
  receiver: "created" | "changed" | "deleted";
  sender: "created" | "changed" | "deleted";
}

export interface MergeInput {
  /** What both sides were at the last sync. */
  base: TreeFolder;
  /** The side that is changed. */
  receiver: TreeFolder;
  /** The side whose changes come. */
  sender: TreeFolder;
  winner: Winner;
  /** The name beside the receiver's for the sender's version, when both are kept. */
  copyName: (name: string, isTaken: (name: string) => boolean) => string;
}

export interface MergeResult {
  /** What the receiver is to become. */
  result: TreeFolder;
  /** What counts as common from then on: the sender's state, and the old one where a conflict was left alone. */
  base: TreeFolder;
  conflicts: Conflict[];
  /** Path in the result → the sender's path, of what is kept beside the receiver's. */
  copies: Map<string, string>;
}

type Findings = Pick<MergeResult, "conflicts" | "copies">;

interface Merged {
  node: TreeNode | undefined;
  base: TreeNode | undefined;
  /** Goes beside the node. */
  copy?: TreeNode;
}

/**
 * Three-way merge of two trees. What only one side has changed is taken from it, deletions included; what both have changed in different ways is a
 * conflict of the smallest subtree that holds it. Pure: it is also the dry run.
 */
export function mergeTrees(input: MergeInput): MergeResult {
  const findings: Findings = { conflicts: [], copies: new Map() };
  const { base, receiver, sender } = input;
  const merged = mergeFolders("", base, receiver, sender, input, findings);
  return {
    result: (merged.node ?? { ...receiver, children: new Map() }) as TreeFolder,
    base: (merged.base ?? { ...sender, children: new Map() }) as TreeFolder,
    ...findings,
  };
}

function mergeNodes(
  path: string,
  base: TreeNode | undefined,
  receiver: TreeNode | undefined,
  sender: TreeNode | undefined,
  input: MergeInput,
  findings: Findings,
): Merged {
  if (isSameNode(sender, base)) return { node: receiver, base: sender };
  if (isSameNode(receiver, base) || isSameNode(receiver, sender)) return { node: sender, base: sender };
  const baseFolder = base?.type === "directory" ? base : undefined;
  const isFolderOrGone = (node: TreeNode | undefined) =>
    node?.type === "directory" || (node === undefined && baseFolder !== undefined);
  // One side that deleted a directory has deleted each thing in it: what the other did to one of them is that one's conflict.
  if (isFolderOrGone(receiver) && isFolderOrGone(sender))
    return mergeFolders(path, baseFolder, receiver as TreeFolder, sender as TreeFolder, input, findings);
  findings.conflicts.push({ path, receiver: describe(base, receiver), sender: describe(base, sender) });
  switch (input.winner) {
    case "neither":
      return { node: receiver, base };
    case "receiver":
      return { node: receiver, base: sender };
    case "sender":
      return { node: sender, base: sender };
    case "both":
      if (receiver === undefined) return { node: sender, base: sender };
      return { node: receiver, base: sender, ...(sender === undefined ? {} : { copy: sender }) };
  }
}

function mergeFolders(
  path: string,
  base: TreeFolder | undefined,
  receiver: TreeFolder | undefined,
  sender: TreeFolder | undefined,
  input: MergeInput,
  findings: Findings,
): Merged {
  const names = new Set<string>();
  for (const folder of [base, receiver, sender]) for (const name of folder?.children.keys() ?? []) names.add(name);
  const children = new Map<string, TreeNode>();
  const baseChildren = new Map<string, TreeNode>();
  const copies: [string, TreeNode][] = [];
  for (const name of names) {
    const below = path === "" ? name : `${path}/${name}`;
    const parts = [base, receiver, sender].map((folder) => folder?.children.get(name));
    const merged = mergeNodes(below, parts[0], parts[1], parts[2], input, findings);
    if (merged.node !== undefined) children.set(name, merged.node);
    if (merged.base !== undefined) baseChildren.set(name, merged.base);
    if (merged.copy !== undefined) copies.push([name, merged.copy]);
  }
  for (const [name, copy] of copies) {
    const copyName = input.copyName(name, (taken) => names.has(taken) || children.has(taken));
    children.set(copyName, copy);
    const prefix = path === "" ? "" : `${path}/`;
    findings.copies.set(`${prefix}${copyName}`, `${prefix}${name}`);
  }
  const isKept = (receiver !== undefined && sender !== undefined) || children.size > 0;
  const senderChangedMode = sender !== undefined && sender.mode !== base?.mode;
  const mode = (senderChangedMode ? sender.mode : (receiver ?? sender)?.mode) ?? 0o755;
  const isInBase = sender !== undefined || baseChildren.size > 0;
  return {
    node: isKept ? { type: "directory", mode, children } : undefined,
    base: isInBase
      ? { type: "directory", mode: sender?.mode ?? base?.mode ?? mode, children: baseChildren }
      : undefined,
  };
}

function describe(base: TreeNode | undefined, side: TreeNode | undefined): "created" | "changed" | "deleted" {
  return side === undefined ? "deleted" : base === undefined ? "created" : "changed";
}

/** Where on the sender's side a path of the result comes from. */
export function originOf(target: string, copies: ReadonlyMap<string, string>): string {
  for (let end = target.length; end > 0; end = target.lastIndexOf("/", end - 1)) {
    const origin = copies.get(target.slice(0, end));
    if (origin !== undefined) return origin + target.slice(end);
  }
  return target;
}
