import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArchiveTree } from "./archive-tree.ts";
import { withholdGitOrders } from "./git-orders.ts";
import { emptyFolder, listNodes, setNode, type TreeFolder, type TreeNode } from "./tree.ts";

const file = (content: string): TreeNode => ({ type: "file", mode: 0o644, sizeBytes: 1, mtimeMs: 0, sha256: content });
const link = (target: string): TreeNode => ({ type: "symlink", target });

function treeOf(paths: readonly string[], content = "x"): TreeFolder {
  const root = emptyFolder();
  for (const path of paths) {
    const [name, target] = path.split(" -> ") as [string, string | undefined];
    setNode(root, name, target === undefined ? file(content) : link(target));
  }
  return root;
}

/** What is withheld of a VM's files, the host having others or none. */
function withheld(guest: readonly string[], host: readonly string[] = []) {
  const tree: ArchiveTree = { root: treeOf(guest, "guest"), skipped: [], partial: new Set() };
  withholdGitOrders(tree, treeOf(host), treeOf(host));
  const left = [...listNodes(tree.root)].filter(([, node]) => node.type !== "directory").map(([path]) => path);
  return { skipped: tree.skipped.map(({ path }) => path), left };
}

test("of a repository, content and branches come from a VM", () => {
  const paths = [
    ".git/HEAD",
    ".git/ORIG_HEAD",
    ".git/COMMIT_EDITMSG",
    ".git/index",
    ".git/packed-refs",
    ".git/objects/ab/cdef",
    ".git/objects/info/packs",
    ".git/refs/heads/hooks/config",
    ".git/logs/HEAD",
    ".git/modules/lib/HEAD",
    ".git/modules/a/b/objects/pack/p.pack",
    "sub/.git/refs/tags/v1",
    "config",
    "hooks/x",
    ".gitignore",
    ".github/workflows/ci.yml",
  ];
  assert.deepEqual(withheld(paths), { skipped: [], left: paths });
});

for (const path of [
  ".git",
  ".git -> elsewhere",
  ".git/config",
  ".git/config.worktree",
  ".git/commondir",
  ".git/hooks/pre-commit",
  ".git/hooks -> ../mine",
  ".git/objects -> ../mine",
  ".git/HEAD -> refs/heads/x",
  ".git/info/attributes",
  ".git/objects/info/alternates",
  ".git/rebase-merge/git-rebase-todo",
  ".git/worktrees/w/commondir",
  ".git/modules/lib/config",
  ".git/modules/lib/commondir",
  ".git/modules/a/logs/config",
  ".git/modules/a/logs/hooks/pre-commit",
  ".git/modules -> ../mine",
  ".GIT/config",
  "vendor/.Git",
  "deep/er/.git/commondir",
  ".hg/hgrc",
  "sub/.jj/repo/config.toml",
]) {
  test(`${path} does not come from a VM`, () => {
    const { skipped, left } = withheld([path, "else"]);
    assert.equal(skipped.length, 1);
    assert.deepEqual(left, ["else"]);
  });
}

test("a directory that git would take for a repository never becomes one, in one pull or in several", () => {
  for (const prefix of ["", "sub/dir/"]) {
    const at = (names: string[]) => names.map((name) => prefix + name);
    assert.deepEqual(withheld(at(["config", "HEAD", "objects/x", "refs/y"])).left, at(["config"]));
    assert.deepEqual(withheld(at(["config", "head", "commondir"])).left, at(["config"]));
    assert.deepEqual(withheld(at(["objects/x", "refs/y"]), at(["config", "HEAD"])).left, []);
    assert.deepEqual(withheld(at(["HEAD"]), at(["config", "objects/x", "refs/y"])).left, []);
    assert.deepEqual(withheld(at(["HEAD", "objects/x"])).left, at(["HEAD", "objects/x"]));
  }
});

test("a bare repository of the host's gets content and branches like any other", () => {
  const host = ["bare/HEAD", "bare/objects/a", "bare/refs/b", "bare/config"];
  const { skipped, left } = withheld([...host, "bare/refs/c", "bare/hooks/post-update"], host);
  assert.deepEqual(skipped, ["bare/config", "bare/hooks/post-update"]);
  assert.deepEqual(left.sort(), [...host, "bare/refs/c"].sort());
});

test("what the host has put there itself stays, and no directory takes the place of a file of git's", () => {
  const host = [".git/config", ".git/hooks -> ../githooks", ".git/info/exclude", "sub/.git"];
  const tree: ArchiveTree = { root: treeOf(host), skipped: [], partial: new Set() };
  withholdGitOrders(tree, treeOf(host), treeOf(host));
  assert.deepEqual(tree.skipped, []);
  assert.deepEqual(withheld([".git/config/HEAD"], [".git/config"]), {
    skipped: [".git/config"],
    left: [".git/config"],
  });
});
