import "@xterm/xterm/css/xterm.css";
import { useEffect, useRef, useState } from "react";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { Empty } from "../../../components/feedback.tsx";
import { useTerminal } from "./use-terminal.ts";
import "./terminal.css";

/** A shell in the VM. It goes on while other tabs are looked at, and ends with the page. */
export default function TerminalTab({ vm, isSeen }: { vm: Vm; isSeen: boolean }) {
  const [isWanted, setWanted] = useState(vm.state === "running");
  if (!isWanted) {
    const canStart = vm.state === "running" || vm.state === "suspended";
    return (
      <Empty icon="terminal" title={`The VM is ${vm.state}`}>
        {canStart ? (
          <Button onClick={() => setWanted(true)}>
            {vm.state === "running" ? "Open a shell" : "Bring it back and open a shell"}
          </Button>
        ) : (
          "A shell can be opened while it runs."
        )}
      </Empty>
    );
  }
  return <Shell vm={vm} isSeen={isSeen} />;
}

function Shell({ vm, isSeen }: { vm: Vm; isSeen: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const bar = useRef<HTMLDivElement>(null);
  const [attempt, setAttempt] = useState(0);
  const [isReadOut, setReadOut] = useState(false);
  const { status, focus } = useTerminal(place, {
    vm: vm.id,
    attempt,
    isReadOut,
    onLeave: () => bar.current?.querySelector("button")?.focus(),
  });
  const focusNow = useRef(focus);
  focusNow.current = focus;
  useEffect(() => {
    if (isSeen) focusNow.current();
  }, [isSeen]);
  return (
    <section className="terminal-card" aria-label={`Terminal of ${vm.name}`}>
      <div className="terminal-bar" ref={bar}>
        <span role="status" className="row">
          <StateBadge
            state={{ connecting: "connecting", open: "open", over: "ended" }[status.state]}
            tone={{ connecting: "info", open: "live", over: "neutral" }[status.state] as "info"}
          />
          <span className="muted cut">
            {status.state === "connecting" && status.step}
            {status.state === "over" && status.how}
          </span>
        </span>
        <span className="row">
          <label className="check">
            <input type="checkbox" checked={isReadOut} onChange={(event) => setReadOut(event.target.checked)} />
            For screen readers
          </label>
          <Button icon="retry" onClick={() => setAttempt(attempt + 1)}>
            New shell
          </Button>
        </span>
      </div>
      <div className="terminal-place" ref={place} />
      <p className="terminal-foot muted">
        <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>Esc</kbd> leaves the terminal. The shell ends with this page.
      </p>
    </section>
  );
}
