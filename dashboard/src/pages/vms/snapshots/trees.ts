import type { Snapshot } from "../../../../../src/contract/snapshot.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";

export interface TreeNode {
  snapshot: Snapshot;
  children: TreeNode[];
  /** VMs that come from it, or that were last saved as it. */
  vms: Vm[];
}

/**
 * The trees that a VM is part of: with a snapshot of it, or with the one that it comes from. One whose parent has been deleted is a root. The oldest first.
 */
export function treesOf(vm: Vm, snapshots: readonly Snapshot[], vms: readonly Vm[]): TreeNode[] {
  const nodes = new Map<string, TreeNode>(
    snapshots.map((snapshot) => [
      snapshot.id,
      {
        snapshot,
        children: [],
        vms: vms.filter(({ snapshot: from }) => from === snapshot.id || from === snapshot.name),
      },
    ]),
  );
  const byAge = [...nodes.values()].sort((a, b) => a.snapshot.createdAt.localeCompare(b.snapshot.createdAt));
  const parentOf = ({ snapshot }: TreeNode) => (snapshot.parent === undefined ? undefined : nodes.get(snapshot.parent));
  for (const node of byAge) parentOf(node)?.children.push(node);
  const isPart = (node: TreeNode): boolean =>
    node.snapshot.vm.id === vm.id || node.vms.some(({ id }) => id === vm.id) || node.children.some(isPart);
  return byAge.filter((node) => parentOf(node) === undefined && isPart(node));
}
