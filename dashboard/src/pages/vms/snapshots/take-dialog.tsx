import type { Vm } from "../../../../../src/contract/vm.ts";
import { requestLines } from "../../../api/client.ts";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { vmPath } from "../api.ts";
import { NameForm } from "./name-form.tsx";

interface TakeDialogProps {
  vm: Vm;
  isOpen: boolean;
  onClose: () => void;
  onTaken: () => Promise<void>;
}

export function TakeDialog({ vm, isOpen, onClose, onTaken }: TakeDialogProps) {
  return (
    <Dialog title={`Snapshot of ${vm.name}`} isOpen={isOpen} onClose={onClose}>
      <NameForm
        action="Take the snapshot"
        done="The snapshot is there"
        onClose={onClose}
        work={async (name, onProgress) => {
          const body = name === undefined ? {} : { name };
          await requestLines("POST", vmPath(vm.id, "/snapshots"), { body, onProgress });
          onClose();
          await onTaken();
        }}
      >
        <p>Memory and disk are kept as they are now. The VM stands still for a moment.</p>
      </NameForm>
    </Dialog>
  );
}
