import { type FormEvent, type ReactNode, useState } from "react";
import type { Progress } from "../../../../../src/contract/vm.ts";
import { useAction } from "../../../api/use-action.ts";
import { Button } from "../../../components/button.tsx";
import { ErrorBox } from "../../../components/feedback.tsx";
import { Field } from "../../../components/field.tsx";

interface NameFormProps {
  /** What the button says. */
  action: string;
  /** What is told when it is done. */
  done: string;
  /** `name` is undefined where none was given. */
  work: (name: string | undefined, onProgress: (progress: Progress) => void) => Promise<void>;
  onClose: () => void;
  children: ReactNode;
}

/** Asks for a name, or for none, and does something that takes a while. */
export function NameForm({ action, done, work, onClose, children }: NameFormProps) {
  const { isBusy, error, run } = useAction({ showsError: true });
  const [step, setStep] = useState("");
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name")).trim();
    void run(() => work(name === "" ? undefined : name, ({ message }) => setStep(message)), done);
  };
  return (
    <form onSubmit={onSubmit}>
      <div className="dialog-body">
        {children}
        {error !== undefined && <ErrorBox error={error} />}
        <Field label="Name" hint="One is made up when there is none.">
          {(ids) => <input {...ids} className="input" name="name" autoComplete="off" spellCheck={false} />}
        </Field>
        <p className="muted" role="status">
          {isBusy && (step || "Under way")}
        </p>
      </div>
      <footer className="dialog-foot">
        <Button onClick={onClose}>Back</Button>
        <Button tone="primary" isSubmit isBusy={isBusy}>
          {action}
        </Button>
      </footer>
    </form>
  );
}
