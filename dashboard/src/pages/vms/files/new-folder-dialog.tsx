import type { FormEvent } from "react";
import { useAction } from "../../../api/use-action.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { ErrorBox } from "../../../components/feedback.tsx";
import { Field } from "../../../components/field.tsx";
import { joinPath, makeFolder } from "./file-api.ts";

interface NewFolderDialogProps {
  vm: string;
  folder: string;
  isOpen: boolean;
  onClose: () => void;
  onMade: () => Promise<void>;
}

export function NewFolderDialog({ vm, folder, isOpen, onClose, onMade }: NewFolderDialogProps) {
  const { isBusy, error, run } = useAction({ showsError: true });
  const onSubmit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name"));
    if (!(await run(() => makeFolder(vm, joinPath(folder, name))))) return;
    onClose();
    await onMade();
  };
  return (
    <Dialog title="New folder" isOpen={isOpen} onClose={onClose}>
      <form onSubmit={onSubmit}>
        <div className="dialog-body">
          {error !== undefined && <ErrorBox error={error} />}
          <Field label="Name">
            {(ids) => <input {...ids} className="input" name="name" required pattern="[^\/]+" autoComplete="off" />}
          </Field>
        </div>
        <footer className="dialog-foot">
          <Button onClick={onClose}>Back</Button>
          <Button tone="primary" isSubmit isBusy={isBusy}>
            Make the folder
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
