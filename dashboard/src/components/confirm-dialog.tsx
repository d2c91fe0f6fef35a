import { type ReactNode, useEffect, useId, useRef } from "react";
import { Button } from "./button.tsx";

/** For the field of a form that is filled in first, when it is not the first one. React's `autoFocus` is over before the dialog is shown. */
export const FOCUS_FIRST = { "data-focus-first": "" };

interface DialogProps {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
  /** Wider, for a form. */
  isWide?: boolean;
}

/** A modal dialog; the browser keeps the focus in it and gives it back. It begins at what has FOCUS_FIRST, at its first field, or at its first button. */
export function Dialog({ title, isOpen, onClose, children, isWide = false }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    if (isOpen && !element.open) {
      element.showModal();
      const first = element.querySelector<HTMLElement>("[data-focus-first]");
      (first ?? element.querySelector<HTMLElement>("textarea, input, select"))?.focus();
    }
    if (!isOpen && element.open) element.close();
  }, [isOpen]);
  return (
    <dialog
      ref={dialog}
      className={isWide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={heading}
      onClose={onClose}
      onCancel={onClose}
    >
      <header className="dialog-head">
        <h2 id={heading}>{title}</h2>
        <Button tone="quiet" icon="close" aria-label="Close" onClick={onClose} />
      </header>
      {isOpen && children}
    </dialog>
  );
}

interface ConfirmDialogProps {
  title: string;
  isOpen: boolean;
  /** What the button says: the deed, not "OK". */
  action: string;
  tone?: "primary" | "danger";
  isBusy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** Asks before something that cannot be taken back. */
export function ConfirmDialog(props: ConfirmDialogProps) {
  const { title, isOpen, action, tone = "danger", isBusy = false, onConfirm, onClose, children } = props;
  return (
    <Dialog title={title} isOpen={isOpen} onClose={onClose}>
      <div className="dialog-body">{children}</div>
      <footer className="dialog-foot">
        <Button onClick={onClose}>Back</Button>
        <Button tone={tone} isBusy={isBusy} onClick={onConfirm}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}
