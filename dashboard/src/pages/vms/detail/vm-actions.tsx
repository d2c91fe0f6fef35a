import { useState } from "react";
import { useLocation } from "wouter";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { post, request, requestLines } from "../../../api/client.ts";
import { useAction } from "../../../api/use-action.ts";
import { Button } from "../../../components/button.tsx";
import { ConfirmDialog } from "../../../components/confirm-dialog.tsx";
import { vmPath } from "../api.ts";
import { ForkDialog } from "../snapshots/fork-dialog.tsx";

interface VmActionsProps {
  vm: Vm;
  onChange: () => Promise<void>;
}

/** What can be done to a VM in its present state. */
export function VmActions({ vm, onChange }: VmActionsProps) {
  const { isBusy, run } = useAction();
  const [, navigate] = useLocation();
  const [asked, setAsked] = useState<"stop" | "delete" | "fork">();
  const [isForced, setForced] = useState(false);
  const { id, name, state } = vm;
  const close = () => setAsked(undefined);
  const doIt = async (work: () => Promise<unknown>, done: string) => {
    close();
    if (await run(work, done)) await onChange();
  };
  const lines = (action: string, body: unknown = {}) => requestLines("POST", vmPath(id, `/${action}`), { body });
  const stop = () => doIt(() => lines("stop", { force: isForced }), `${name} has stopped`);
  const remove = async () => {
    close();
    if (await run(() => request("DELETE", vmPath(id)), `${name} has been deleted`)) navigate("/vms");
  };
  const isDown = ["created", "stopped", "crashed"].includes(state);
  const isAsleep = state === "paused" || state === "suspended";
  return (
    <div className="row row-compact">
      {isDown && (
        <Button tone="primary" icon="play" isBusy={isBusy} onClick={() => doIt(() => lines("start"), `${name} runs`)}>
          Start
        </Button>
      )}
      {isAsleep && (
        <Button
          tone="primary"
          icon="play"
          isBusy={isBusy}
          onClick={() => doIt(() => post(vmPath(id, "/resume")), `${name} goes on`)}
        >
          Resume
        </Button>
      )}
      {state === "running" && (
        <>
          <Button isBusy={isBusy} onClick={() => doIt(() => post(vmPath(id, "/pause")), `${name} stands still`)}>
            Pause
          </Button>
          <Button isBusy={isBusy} onClick={() => doIt(() => lines("suspend"), `${name} is saved`)}>
            Suspend
          </Button>
        </>
      )}
      {(state === "running" || isAsleep) && (
        <>
          <Button icon="fork" disabled={isBusy} onClick={() => setAsked("fork")}>
            Fork
          </Button>
          <Button icon="stop" disabled={isBusy} onClick={() => setAsked("stop")}>
            Stop
          </Button>
        </>
      )}
      <Button tone="danger" icon="trash" disabled={isBusy} onClick={() => setAsked("delete")}>
        Delete
      </Button>
      <ConfirmDialog
        title={`Stop ${name}?`}
        isOpen={asked === "stop"}
        action={isForced ? "Stop at once" : "Stop"}
        onConfirm={stop}
        onClose={close}
      >
        <p>What runs in it ends. Its disk stays, and it can be started again.</p>
        <label className="check">
          <input type="checkbox" checked={isForced} onChange={(event) => setForced(event.target.checked)} />
          At once: what the guest has not written to its disk is lost
        </label>
      </ConfirmDialog>
      <ConfirmDialog
        title={`Delete ${name}?`}
        isOpen={asked === "delete"}
        action="Delete the VM"
        onConfirm={remove}
        onClose={close}
      >
        <p>The VM and its disk are gone then. Snapshots of it stay.</p>
      </ConfirmDialog>
      <ForkDialog from={{ kind: "vm", id, name }} isOpen={asked === "fork"} onClose={close} />
    </div>
  );
}
