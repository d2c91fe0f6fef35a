import { type ArchiveTree, takeBack } from "./archive-tree.ts";
import { isSameNode, type TreeFolder, type TreeNode } from "./tree.ts";

/**
 * What a repository's folder may get from a VM: content and where its branches are. All else names programs that git runs (`config`, `hooks`), leads to
 * such (`commondir`, `worktrees`), or is what a `git rebase --continue` would carry out. An allow-list: git learns new orders.
 */
const DATA_FILE =
  /^(?:(?:ORIG_|FETCH_|MERGE_|CHERRY_PICK_|REVERT_)?HEAD|AUTO_MERGE|COMMIT_EDITMSG|MERGE_(?:MSG|MODE)|SQUASH_MSG|index|sharedindex\.[0-9a-f]+|packed-refs|shallow|description)$/;
const DATA_FOLDER = /^(?:objects\/(?!info\/(?:http-)?alternates$)|refs\/|logs\/|lfs\/objects\/)/;
/** A submodule's repository lies in its parent's, and its name may have slashes in it: what counts is how a path ends. */
const SUBMODULE = /^modules\/.+?\/(?=(?:objects|refs|logs|lfs)\/|[^/]+$)/;
/** Nor may a submodule named `a/logs` have what a submodule named `a` may: two readings of one path. */
const ORDER_NAME = /(?:^|\/)(?:config(?:\.worktree)?|commondir|gitdir|hooks|(?:http-)?alternates)(?:\/|$)/;

const GIT = "git on this host would take orders from it";
const OTHERS = "the version control on this host would take orders from it";

/** A path within a repository's folder. */
function isData(path: string): boolean {
  const tail = path.replace(SUBMODULE, "");
  if (tail !== path && ORDER_NAME.test(path)) return false;
  return DATA_FILE.test(tail) || DATA_FOLDER.test(tail);
}

/**
 * Takes back, of what a VM has made or changed, what git on the host would take orders from as soon as somebody there says `git status`. A repository's
 * folder is known by its name or, since git takes any directory for one that has the right things in it, by these. What the VM left as it was stays.
 */
export function withholdGitOrders(tree: ArchiveTree, base: TreeFolder, host: TreeFolder): void {
  withholdBelow("", { guest: tree.root, base, host }, tree);
}

interface Sides {
  guest: TreeFolder;
  base: TreeFolder | undefined;
  host: TreeFolder | undefined;
}

function withholdBelow(folder: string, sides: Sides, tree: ArchiveTree): void {
  const { guest, base, host } = sides;
  const isRepository = looksLikeRepository([guest, base, host]);
  if (isRepository && looksLikeRepository([host])) {
    keepData(folder, "", sides, tree);
    return;
  }
  for (const [name, node] of [...guest.children]) {
    const path = folder === "" ? name : `${folder}/${name}`;
    const before = base?.children.get(name);
    const lower = name.toLowerCase();
    const below = { base: asFolder(before), host: asFolder(host?.children.get(name)) };
    if (isRepository && REPOSITORY_PARTS.has(lower)) takeUnlessSame(path, node, before, GIT, tree);
    else if (lower === ".git") {
      if (node.type === "directory") keepData(path, "", { guest: node, ...below }, tree);
      else takeUnlessSame(path, node, before, GIT, tree);
    } else if (lower === ".hg" || lower === ".jj") takeUnlessSame(path, node, before, OTHERS, tree);
    else if (node.type === "directory") withholdBelow(path, { guest: node, ...below }, tree);
  }
}

const REPOSITORY_PARTS = new Set(["head", "commondir", "objects", "refs"]);

/** As git sees it (setup.c, `is_git_directory`), over all sides: what is there together in the end may have come one by one. */
function looksLikeRepository(folders: (TreeFolder | undefined)[]): boolean {
  const names = new Set<string>();
  for (const folder of folders) for (const name of folder?.children.keys() ?? []) names.add(name.toLowerCase());
  return names.has("head") && (names.has("commondir") || (names.has("objects") && names.has("refs")));
}

/** `folder`: the path; `within`: the same within the repository's folder. */
function keepData(folder: string, within: string, { guest, base, host }: Sides, tree: ArchiveTree): void {
  for (const [name, node] of [...guest.children]) {
    const path = folder === "" ? name : `${folder}/${name}`;
    const inside = within === "" ? name : `${within}/${name}`;
    const before = base?.children.get(name);
    const there = host?.children.get(name);
    // A directory in the place of a file that git reads is no directory of the repository's.
    const isInPlaceOfFile = [before, there].some((other) => other !== undefined && other.type !== "directory");
    if (node.type === "directory" && !isInPlaceOfFile)
      keepData(path, inside, { guest: node, base: asFolder(before), host: asFolder(there) }, tree);
    else if (node.type !== "file" || !isData(inside)) takeUnlessSame(path, node, before, GIT, tree);
  }
}

function takeUnlessSame(
  path: string,
  node: TreeNode,
  before: TreeNode | undefined,
  why: string,
  tree: ArchiveTree,
): void {
  if (!isSameNode(node, before)) takeBack(path, why, tree, before);
}

function asFolder(node: TreeNode | undefined): TreeFolder | undefined {
  return node?.type === "directory" ? node : undefined;
}
