import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import type { Vm, VmCreate } from "../../../../../src/contract/vm.ts";
import { requestLines } from "../../../api/client.ts";
import { useAction } from "../../../api/use-action.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { ErrorBox } from "../../../components/feedback.tsx";
import { Field } from "../../../components/field.tsx";
import { vmHref } from "../api.ts";

const MODES = ["none", "public", "nat"] as const;

/** Makes a VM of the few things that are mostly asked for; its policy can be told more exactly afterwards. */
export function NewVmDialog({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog title="New VM" isOpen={isOpen} onClose={onClose}>
      <NewVmForm onClose={onClose} />
    </Dialog>
  );
}

function NewVmForm({ onClose }: { onClose: () => void }) {
  const { isBusy, error, run } = useAction({ showsError: true });
  const [, navigate] = useLocation();
  const [step, setStep] = useState("");
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const body: VmCreate = {
      ...(text("name") === "" ? {} : { name: text("name") }),
      image: text("image"),
      memoryMib: Number(text("memory")),
      cpus: Number(text("cpus")),
      network: { mode: MODES.find((mode) => mode === text("mode")) ?? "none" },
    };
    void run(async () => {
      const onProgress = ({ message }: { message: string }) => setStep(message);
      const vm = await requestLines<Vm>("POST", "/v1/vms", { body, onProgress });
      onClose();
      navigate(vmHref(vm.name));
    }, "The VM is there");
  };
  return (
    <form onSubmit={onSubmit}>
      <div className="dialog-body">
        {error !== undefined && <ErrorBox error={error} />}
        <Field label="Name" hint="One is made up when there is none.">
          {(ids) => <input {...ids} className="input" name="name" autoComplete="off" spellCheck={false} />}
        </Field>
        <Field label="Image">
          {(ids) => <input {...ids} className="input" name="image" defaultValue="debian" required spellCheck={false} />}
        </Field>
        <div className="form-grid">
          <Field label="Memory, MiB">
            {(ids) => <input {...ids} className="input" type="number" name="memory" defaultValue={512} min={128} />}
          </Field>
          <Field label="CPUs">
            {(ids) => <input {...ids} className="input" type="number" name="cpus" defaultValue={1} min={1} max={64} />}
          </Field>
        </div>
        <Field label="Network" hint="What it may reach. An allowlist is set on the VM's page.">
          {(ids) => (
            <select {...ids} className="select" name="mode">
              {MODES.map((mode) => (
                <option key={mode}>{mode}</option>
              ))}
            </select>
          )}
        </Field>
        <p className="muted" role="status">
          {isBusy && (step || "Asking for it")}
        </p>
      </div>
      <footer className="dialog-foot">
        <Button onClick={onClose}>Back</Button>
        <Button tone="primary" isSubmit isBusy={isBusy}>
          Make the VM
        </Button>
      </footer>
    </form>
  );
}
