import { Link } from "wouter";
import type { Snapshot } from "../../../../../src/contract/snapshot.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { Icon } from "../../../components/icon.tsx";
import { formatAgo, formatBytes, formatDateTime } from "../../../format.ts";
import { vmHref } from "../api.ts";
import type { TreeNode } from "./trees.ts";

interface SnapshotTreeProps {
  /** Whose page this is. */
  vm: Vm;
  nodes: readonly TreeNode[];
  onAsk: (what: "fork" | "restore" | "delete", snapshot: Snapshot) => void;
}

/** Lists within lists: that is what a screen reader reads as a tree, without keys of its own. */
export function SnapshotTree({ vm, nodes, onAsk }: SnapshotTreeProps) {
  return (
    <ul className="tree" aria-label="Snapshots">
      {nodes.map((node) => (
        <li key={node.snapshot.id}>
          <SnapshotRow vm={vm} snapshot={node.snapshot} onAsk={onAsk} />
          {node.vms.length > 0 && (
            <ul className="tree-vms" aria-label={`VMs of ${node.snapshot.name}`}>
              {node.vms.map((one) => (
                <li key={one.id} className="tree-vm">
                  <Icon name="vm" />
                  {one.id === vm.id ? (
                    <strong>{one.name} (this VM)</strong>
                  ) : (
                    <Link href={vmHref(one.name)}>{one.name}</Link>
                  )}
                  <StateBadge state={one.state} />
                </li>
              ))}
            </ul>
          )}
          {node.children.length > 0 && <SnapshotTree vm={vm} nodes={node.children} onAsk={onAsk} />}
        </li>
      ))}
    </ul>
  );
}

function SnapshotRow({ vm, snapshot, onAsk }: Pick<SnapshotTreeProps, "vm" | "onAsk"> & { snapshot: Snapshot }) {
  const { name, createdAt, sizeBytes, vm: of } = snapshot;
  return (
    <div className="tree-row">
      <span className="tree-mark" aria-hidden="true" />
      <span className="tree-text">
        <strong>{name}</strong>
        <span className="muted">
          {of.id === vm.id ? "" : `of ${of.name}, `}
          <time dateTime={createdAt} title={formatDateTime(createdAt)}>
            {formatAgo(createdAt)}
          </time>
          , {formatBytes(sizeBytes)}
        </span>
      </span>
      <span className="row">
        <Button icon="fork" aria-label={`Fork ${name}`} onClick={() => onAsk("fork", snapshot)}>
          Fork
        </Button>
        {of.id === vm.id && (
          <Button
            icon="retry"
            tone="quiet"
            aria-label={`Go back to ${name}`}
            onClick={() => onAsk("restore", snapshot)}
          />
        )}
        <Button icon="trash" tone="quiet" aria-label={`Delete ${name}`} onClick={() => onAsk("delete", snapshot)} />
      </span>
    </div>
  );
}
