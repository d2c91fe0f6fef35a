import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MergeResult, mergeTrees, type Winner } from "./merge.ts";
import { type Operation, planOperations } from "./operations.ts";
import {
  emptyFolder,
  findNode,
  flatten,
  folderFor,
  isSameNode,
  listNodes,
  type TreeFolder,
  type TreeLeaf,
  type TreeNode,
  unflatten,
} from "./tree.ts";

const file = (sha256: string, mode = 0o644): TreeLeaf => ({ type: "file", mode, sizeBytes: 1, mtimeMs: 0, sha256 });

function tree(entries: Record<string, string>): TreeFolder {
  const root = emptyFolder();
  for (const [path, content] of Object.entries(entries)) {
    const place = folderFor(root, path) as { folder: TreeFolder; name: string };
    place.folder.children.set(place.name, content === "/" ? emptyFolder() : file(content));
  }
  return root;
}

const show = (root: TreeFolder) =>
  Object.fromEntries(
    [...listNodes(root)].map(([path, node]) => [
      path,
      node.type === "directory" ? "/" : node.type === "file" ? node.sha256 : `-> ${node.target}`,
    ]),
  );

function merge(base: TreeFolder, receiver: TreeFolder, sender: TreeFolder, winner: Winner = "neither"): MergeResult {
  return mergeTrees({ base, receiver, sender, winner, copyName: (name, isTaken) => freeName(name, isTaken) });
}

function freeName(name: string, isTaken: (name: string) => boolean): string {
  let copy = `${name}~`;
  while (isTaken(copy)) copy += "~";
  return copy;
}

test("changes, additions and deletions of one side come; those of the other stay", () => {
  const base = tree({ changed: "1", deleted: "1", mine: "1", "sub/gone": "1" });
  const receiver = tree({ changed: "1", deleted: "1", mine: "2", "sub/gone": "1", own: "1" });
  const sender = tree({ changed: "2", mine: "1", added: "1" });
  const { result, conflicts } = merge(base, receiver, sender);
  assert.deepEqual([show(result), conflicts], [{ changed: "2", mine: "2", own: "1", added: "1" }, []]);
});

test("what both have changed is a conflict, by name, and is left alone", () => {
  const base = tree({ a: "1", "d/b": "1", c: "1" });
  const { result, conflicts, base: next } = merge(base, tree({ a: "2", "d/b": "2" }), tree({ a: "3", c: "2" }));
  assert.deepEqual(show(result), { a: "2", d: "/", "d/b": "2" });
  assert.deepEqual(conflicts, [
    { path: "a", receiver: "changed", sender: "changed" },
    { path: "d/b", receiver: "changed", sender: "deleted" },
    { path: "c", receiver: "deleted", sender: "changed" },
  ]);
  // Left alone, they are conflicts the next time, too.
  assert.deepEqual(show(next), show(base));
});

test("the same change on both sides is none", () => {
  const { result, conflicts } = merge(tree({ a: "1" }), tree({ a: "2", b: "1" }), tree({ a: "2", b: "1" }));
  assert.deepEqual([show(result), conflicts], [{ a: "2", b: "1" }, []]);
});

test("a directory that one side deleted keeps what the other has put into it", () => {
  const base = tree({ "d/old": "1" });
  assert.deepEqual(show(merge(base, tree({ "d/old": "1", "d/new": "1" }), tree({})).result), { d: "/", "d/new": "1" });
  assert.deepEqual(show(merge(base, tree({}), tree({ "d/old": "1", "d/new": "1" })).result), { d: "/", "d/new": "1" });
});

test("a directory against a file is one conflict, of the whole", () => {
  const base = tree({ "d/a": "1", "d/b": "1" });
  const [receiver, sender] = [tree({ d: "file" }), tree({ "d/a": "2", "d/b": "1" })];
  assert.deepEqual(
    merge(base, receiver, sender).conflicts.map(({ path }) => path),
    ["d"],
  );
  assert.deepEqual(show(merge(base, receiver, sender, "sender").result), show(sender));
  assert.deepEqual(show(merge(base, receiver, sender, "receiver").result), show(receiver));
  const both = merge(base, receiver, sender, "both");
  assert.deepEqual(show(both.result), { d: "file", "d~": "/", "d~/a": "2", "d~/b": "1" });
  assert.deepEqual([...both.copies], [["d~", "d"]]);
});

const leaf = fc.oneof(
  fc
    .record({ sha256: fc.constantFrom("1", "2", "3"), mode: fc.constantFrom(0o644, 0o755) })
    .map(({ sha256, mode }): TreeNode => file(sha256, mode)),
  fc.constantFrom("x", "y").map((target): TreeNode => ({ type: "symlink", target })),
);
const { root: anyTree } = fc.letrec<{ root: TreeFolder; node: TreeNode }>((tie) => ({
  root: fc
    .dictionary(fc.constantFrom("a", "b", "c"), tie("node"), { maxKeys: 3 })
    .map((children): TreeFolder => ({ type: "directory", mode: 0o755, children: new Map(Object.entries(children)) })),
  node: fc.oneof({ maxDepth: 3, depthIdentifier: "tree" }, leaf, tie("root")),
}));
const winners = fc.constantFrom<Winner>("neither", "receiver", "sender", "both");

/** Leaves of a tree by path. */
const leaves = (root: TreeFolder) =>
  new Map([...listNodes(root)].filter((entry): entry is [string, TreeLeaf] => entry[1].type !== "directory"));
const isIn = (path: string, conflicts: { path: string }[]) =>
  conflicts.some((conflict) => path === conflict.path || path.startsWith(`${conflict.path}/`));

test("what only the receiver has changed is never lost, whoever wins", () => {
  fc.assert(
    fc.property(anyTree, anyTree, anyTree, winners, (base, receiver, sender, winner) => {
      const { result, conflicts } = merge(base, receiver, sender, winner);
      for (const [path, node] of leaves(receiver)) {
        const isUnchanged = isSameNode(node, findNode(base, path));
        if (isUnchanged || (winner === "sender" && isIn(path, conflicts))) continue;
        assert.ok(isSameNode(findNode(result, path), node), path);
      }
    }),
  );
});

test("what only the sender has changed arrives, deletions included", () => {
  fc.assert(
    fc.property(anyTree, anyTree, anyTree, winners, (base, receiver, sender, winner) => {
      const { result, conflicts } = merge(base, receiver, sender, winner);
      for (const path of new Set([...leaves(base).keys(), ...leaves(sender).keys()])) {
        const [was, is, theirs] = [base, receiver, sender].map((side) => findNode(side, path));
        if (isSameNode(theirs, was) || !isSameNode(is, was) || isIn(path, conflicts)) continue;
        if (theirs?.type === "directory" || was?.type === "directory") continue;
        assert.ok(isSameNode(findNode(result, path), theirs), path);
      }
    }),
  );
});

test("the sender's version of a conflict is there when it wins, and when both are kept", () => {
  fc.assert(
    fc.property(anyTree, anyTree, anyTree, (base, receiver, sender) => {
      for (const { path } of merge(base, receiver, sender, "sender").conflicts)
        assert.ok(isSameNode(findNode(merge(base, receiver, sender, "sender").result, path), findNode(sender, path)));
      const both = merge(base, receiver, sender, "both");
      const copied = new Set(both.copies.values());
      for (const { path } of both.conflicts) {
        const theirs = findNode(sender, path);
        if (theirs === undefined) continue;
        const copy = [...both.copies].find(([, origin]) => origin === path)?.[0];
        assert.ok(isSameNode(findNode(both.result, copied.has(path) ? (copy as string) : path), theirs), path);
      }
    }),
  );
});

test("a second merge finds nothing to do, and the same conflicts only where they were left alone", () => {
  fc.assert(
    fc.property(anyTree, anyTree, anyTree, winners, (base, receiver, sender, winner) => {
      const first = merge(base, receiver, sender, winner);
      const second = merge(first.base, first.result, sender, "neither");
      assert.deepEqual(show(second.result), show(first.result));
      assert.deepEqual(
        second.conflicts.map(({ path }) => path).sort(),
        winner === "neither" ? first.conflicts.map(({ path }) => path).sort() : [],
      );
    }),
  );
});

/** Does operations to a tree in memory, and fails where one could not be done to a directory. */
function carryOut(root: TreeFolder, operations: Operation[]): TreeFolder {
  const copy = unflatten(flatten(root));
  for (const operation of operations) {
    const place = folderFor(copy, operation.path);
    assert.ok(place !== undefined, operation.path);
    const { folder, name } = place;
    const there = folder.children.get(name);
    switch (operation.kind) {
      case "remove":
        assert.ok(isSameNode(there, operation.was));
        folder.children.delete(name);
        break;
      case "remove_folder":
        assert.ok(there?.type === "directory" && there.children.size === 0);
        folder.children.delete(name);
        break;
      case "make_folder":
        assert.equal(there, undefined);
        folder.children.set(name, emptyFolder(operation.mode));
        break;
      case "put":
        assert.ok(isSameNode(there, operation.was));
        folder.children.set(name, operation.node);
        break;
      case "set_mode":
        assert.ok(there !== undefined && there.type !== "symlink");
        folder.children.set(name, { ...there, mode: operation.mode });
    }
  }
  return copy;
}

test("the operations between two trees lead from one to the other, each possible when it comes", () => {
  fc.assert(
    fc.property(anyTree, anyTree, (from, to) => {
      assert.deepEqual(flatten(carryOut(from, planOperations(from, to))).sort(), flatten(to).sort());
      assert.deepEqual(planOperations(to, to), []);
    }),
  );
});
