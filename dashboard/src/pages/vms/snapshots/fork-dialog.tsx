import { useLocation } from "wouter";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { requestLines } from "../../../api/client.ts";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { snapshotPath, vmHref, vmPath } from "../api.ts";
import { NameForm } from "./name-form.tsx";

interface ForkDialogProps {
  from: { kind: "vm" | "snapshot"; id: string; name: string };
  isOpen: boolean;
  onClose: () => void;
}

/** Makes a VM that goes on where a snapshot, or another VM, is; then its page is opened. */
export function ForkDialog({ from, isOpen, onClose }: ForkDialogProps) {
  const [, navigate] = useLocation();
  const path = from.kind === "vm" ? vmPath(from.id, "/fork") : snapshotPath(from.id, "/fork");
  return (
    <Dialog title={`Fork ${from.name}`} isOpen={isOpen} onClose={onClose}>
      <NameForm
        action="Fork"
        done="The fork runs"
        onClose={onClose}
        work={async (name, onProgress) => {
          const body = name === undefined ? {} : { name };
          const fork = await requestLines<Vm>("POST", path, { body, onProgress });
          onClose();
          navigate(vmHref(fork.name));
        }}
      >
        <p>A new VM goes on from there, with memory and disk of its own, under the same policy.</p>
      </NameForm>
    </Dialog>
  );
}
