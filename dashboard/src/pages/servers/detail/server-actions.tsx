import { useState } from "react";
import type { Server } from "../../../../../src/contract/server.ts";
import { post, requestLines } from "../../../api/client.ts";
import { useAction } from "../../../api/use-action.ts";
import { Button } from "../../../components/button.tsx";
import { ConfirmDialog } from "../../../components/confirm-dialog.tsx";
import { serverPath } from "../api.ts";

interface ServerActionsProps {
  server: Server;
  onChange: () => Promise<void>;
}

/** What can be done to a server. */
export function ServerActions({ server: { name, state }, onChange }: ServerActionsProps) {
  const { isBusy, run } = useAction();
  const [isStopping, setStopping] = useState(false);
  const [step, setStep] = useState("");
  const doIt = async (work: () => Promise<unknown>, done: string) => {
    setStopping(false);
    await run(work, done);
    setStep("");
    await onChange();
  };
  const start = () =>
    requestLines("POST", serverPath(name, "/start"), { body: {}, onProgress: ({ message }) => setStep(message) });
  if (state === "disabled") return null;
  return (
    <>
      <span className="muted" role="status">
        {step}
      </span>
      {state !== "running" && (
        <Button
          tone="primary"
          icon="play"
          isBusy={isBusy || state === "preparing"}
          onClick={() => doIt(start, `${name} runs`)}
        >
          Start
        </Button>
      )}
      {state === "running" && (
        <Button icon="stop" isBusy={isBusy} onClick={() => setStopping(true)}>
          Stop
        </Button>
      )}
      <ConfirmDialog
        title={`Stop ${name}?`}
        isOpen={isStopping}
        action="Stop the server"
        onConfirm={() => doIt(() => post(serverPath(name, "/stop")), `${name} has stopped`)}
        onClose={() => setStopping(false)}
      >
        <p>What its process has in memory is lost. The next call starts it anew.</p>
      </ConfirmDialog>
    </>
  );
}
