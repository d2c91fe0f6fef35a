import { type FormEvent, useState } from "react";
import type { EgressPolicy } from "../../../../../src/contract/policy.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { request } from "../../../api/client.ts";
import { useAction } from "../../../api/use-action.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { ErrorBox } from "../../../components/feedback.tsx";
import { Field } from "../../../components/field.tsx";
import { vmPath } from "../api.ts";
import { fromDraft, MODES, toDraft } from "./policy-text.ts";

interface PolicyDialogProps {
  vm: Vm;
  isOpen: boolean;
  onClose: () => void;
  onChange: () => Promise<void>;
}

/** Changes what a VM may reach, as it runs. */
export function PolicyDialog(props: PolicyDialogProps) {
  return (
    <Dialog title={`What ${props.vm.name} may reach`} isOpen={props.isOpen} onClose={props.onClose} isWide>
      <PolicyForm {...props} />
    </Dialog>
  );
}

function PolicyForm({ vm, onClose, onChange }: PolicyDialogProps) {
  const [draft, setDraft] = useState(() => toDraft(vm.network));
  const { isBusy, error, run } = useAction({ showsError: true });
  const change = (changes: Partial<typeof draft>) => setDraft({ ...draft, ...changes });
  const onSubmit = async (event: FormEvent) => {
    event.preventDefault();
    const put = async () => request("PUT", vmPath(vm.id, "/policy"), { body: fromDraft(draft, vm.network) });
    if (!(await run(put, "The policy holds"))) return;
    onClose();
    await onChange();
  };
  return (
    <form onSubmit={onSubmit}>
      <div className="dialog-body">
        {error !== undefined && <ErrorBox error={error} />}
        <Field label="Mode" hint="Connections that both policies allow go on; others are cut.">
          {(ids) => (
            <select
              {...ids}
              className="select"
              value={draft.mode}
              onChange={(event) => change({ mode: event.target.value as EgressPolicy["mode"] })}
            >
              {MODES.map(({ mode, what }) => (
                <option key={mode} value={mode}>
                  {mode}: {what.toLowerCase()}
                </option>
              ))}
            </select>
          )}
        </Field>
        {(draft.mode === "allowlist" || draft.mode === "nat") && (
          <Field
            label="Allowed"
            hint={
              <>
                A rule a line: <code>example.org</code>, <code>*.example.org:443</code>, a named set, or a rule’s JSON.
              </>
            }
          >
            {(ids) => (
              <textarea
                {...ids}
                className="textarea mono"
                rows={6}
                spellCheck={false}
                value={draft.allow}
                onChange={(event) => change({ allow: event.target.value })}
              />
            )}
          </Field>
        )}
        {draft.mode !== "none" && (
          <Field label="Denied" hint="Before all that is allowed.">
            {(ids) => (
              <textarea
                {...ids}
                className="textarea mono"
                rows={3}
                spellCheck={false}
                value={draft.deny}
                onChange={(event) => change({ deny: event.target.value })}
              />
            )}
          </Field>
        )}
      </div>
      <footer className="dialog-foot">
        <Button onClick={onClose}>Back</Button>
        <Button tone="primary" isSubmit isBusy={isBusy}>
          Set the policy
        </Button>
      </footer>
    </form>
  );
}
