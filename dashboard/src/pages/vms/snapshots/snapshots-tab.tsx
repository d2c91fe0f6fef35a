import { useState } from "react";
import type { Snapshot } from "../../../../../src/contract/snapshot.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { request, requestLines } from "../../../api/client.ts";
import { useAction } from "../../../api/use-action.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { Button } from "../../../components/button.tsx";
import { ConfirmDialog } from "../../../components/confirm-dialog.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card } from "../../../components/page.tsx";
import { snapshotPath } from "../api.ts";
import { ForkDialog } from "./fork-dialog.tsx";
import { SnapshotTree } from "./snapshot-tree.tsx";
import { TakeDialog } from "./take-dialog.tsx";
import { treesOf } from "./trees.ts";

type Asked = { what: "fork" | "restore" | "delete"; snapshot: Snapshot };

/** A VM's snapshots, and those that it and they come from. */
export function SnapshotsTab({ vm, onChange }: { vm: Vm; onChange: () => Promise<void> }) {
  const { data, error, refresh } = usePoll<{ snapshots: Snapshot[] }>("/v1/snapshots", 5_000);
  const { data: all } = usePoll<{ vms: Vm[] }>("/v1/vms", 5_000);
  const [asked, setAsked] = useState<Asked>();
  const [isTaking, setTaking] = useState(false);
  const { isBusy, run } = useAction();
  const close = () => setAsked(undefined);
  const doIt = async (work: () => Promise<unknown>, done: string) => {
    close();
    if (await run(work, done)) await Promise.all([refresh(), onChange()]);
  };
  const restore = ({ id, name }: Snapshot) =>
    doIt(() => requestLines("POST", snapshotPath(id, "/restore"), { body: {} }), `It is as ${name} has it`);
  const remove = ({ id, name }: Snapshot) =>
    doIt(() => request("DELETE", snapshotPath(id)), `${name} has been deleted`);
  const trees = treesOf(vm, data?.snapshots ?? [], all?.vms ?? [vm]);
  const isSnapshotable = vm.state === "running" || vm.state === "paused" || vm.state === "suspended";
  return (
    <Card
      title="Snapshots"
      actions={
        <Button icon="plus" isBusy={isBusy} disabled={!isSnapshotable} onClick={() => setTaking(true)}>
          Take a snapshot
        </Button>
      }
      isFlush
    >
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      {data === undefined && error === undefined && <Loading label="Loading snapshots" />}
      {data !== undefined && trees.length === 0 && (
        <Empty icon="fork" title="No snapshots yet">
          A snapshot keeps memory and disk; any number of VMs can be forked from it.
        </Empty>
      )}
      {trees.length > 0 && (
        <SnapshotTree vm={vm} nodes={trees} onAsk={(what, snapshot) => setAsked({ what, snapshot })} />
      )}
      <TakeDialog vm={vm} isOpen={isTaking} onClose={() => setTaking(false)} onTaken={refresh} />
      {asked !== undefined && (
        <>
          <ForkDialog
            from={{ kind: "snapshot", id: asked.snapshot.id, name: asked.snapshot.name }}
            isOpen={asked.what === "fork"}
            onClose={close}
          />
          <ConfirmDialog
            title={`Go back to ${asked.snapshot.name}?`}
            isOpen={asked.what === "restore"}
            action="Go back"
            onConfirm={() => restore(asked.snapshot)}
            onClose={close}
          >
            <p>
              {asked.snapshot.vm.name} becomes what it was then, memory and disk. What has happened in it since is lost.
            </p>
          </ConfirmDialog>
          <ConfirmDialog
            title={`Delete ${asked.snapshot.name}?`}
            isOpen={asked.what === "delete"}
            action="Delete the snapshot"
            onConfirm={() => remove(asked.snapshot)}
            onClose={close}
          >
            <p>VMs that were forked from it go on. Nothing can be forked from it any more.</p>
          </ConfirmDialog>
        </>
      )}
    </Card>
  );
}
