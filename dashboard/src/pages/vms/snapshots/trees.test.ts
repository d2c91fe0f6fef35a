import assert from "node:assert/strict";
import { test } from "node:test";
import type { Snapshot } from "../../../../../src/contract/snapshot.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { type TreeNode, treesOf } from "./trees.ts";

const vm = (name: string, snapshot?: string) => ({ id: name, name, snapshot }) as Vm;
const snapshot = (id: string, of: string, parent?: string) =>
  ({ id, name: `${id}-name`, vm: { id: of, name: of }, parent, createdAt: id }) as Snapshot;
const text = (nodes: readonly TreeNode[]): string =>
  nodes
    .map(({ snapshot: { id }, vms, children }) => `${id}[${vms.map(({ name }) => name)}](${text(children)})`)
    .join(" ");

test("a VM's trees have its snapshots, what they come from, and who comes from them", () => {
  const all = [
    snapshot("s2", "web", "s1"),
    snapshot("s1", "web"),
    snapshot("s3", "fork", "s1"),
    snapshot("s9", "other"),
  ];
  const vms = [vm("web", "s2"), vm("fork", "s3"), vm("other", "s9"), vm("plain")];
  assert.equal(text(treesOf(vm("web"), all, vms)), "s1[](s2[web]() s3[fork]())");
  assert.equal(text(treesOf(vm("fork"), all, vms)), "s1[](s2[web]() s3[fork]())");
  assert.equal(text(treesOf(vm("other"), all, vms)), "s9[other]()");
  assert.equal(text(treesOf(vm("plain"), all, vms)), "");
});

test("a snapshot whose parent has been deleted is a root", () => {
  assert.equal(text(treesOf(vm("web"), [snapshot("s2", "web", "gone")], [])), "s2[]()");
});
