import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from "react";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

interface ToastMessage {
  tone: "good" | "bad";
  text: string;
}

/** How long one that tells of success stays, ms; failures stay until they are closed. */
const SHOWN_MS = 5_000;
const ToastContext = createContext<(message: ToastMessage) => void>(() => {});

/** Shows a short message in a corner. */
export const useToast = () => useContext(ToastContext);

export function ToastProvider({ children }: { children: ReactNode }) {
  const [messages, setMessages] = useState<(ToastMessage & { id: number })[]>([]);
  const nextId = useRef(1);
  const close = useCallback((id: number) => setMessages((all) => all.filter((message) => message.id !== id)), []);
  const show = useCallback(
    (message: ToastMessage) => {
      const id = nextId.current++;
      setMessages((all) => [...all.slice(-3), { ...message, id }]);
      if (message.tone === "good") setTimeout(() => close(id), SHOWN_MS);
    },
    [close],
  );
  return (
    <ToastContext value={show}>
      {children}
      <section className="toasts" aria-live="polite" aria-label="Messages">
        {messages.map(({ id, tone, text }) => (
          <div key={id} className={`toast toast-${tone}`}>
            <Icon name={tone === "good" ? "check" : "alert"} />
            <span className="toast-text">{text}</span>
            <Button tone="quiet" icon="close" aria-label="Close message" onClick={() => close(id)} />
          </div>
        ))}
      </section>
    </ToastContext>
  );
}
