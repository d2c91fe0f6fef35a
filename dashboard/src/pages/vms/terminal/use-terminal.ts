import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { type RefObject, useEffect, useRef, useState } from "react";
import { ExecSession } from "./exec-session.ts";
import { allowStyleOfSpans, withoutStyleElements } from "./styled-document.ts";
import { terminalTheme } from "./terminal-theme.ts";

export type TerminalState = { state: "connecting"; step: string } | { state: "open" } | { state: "over"; how: string };

interface UseTerminalOptions {
  vm: string;
  /** Another number begins another shell. */
  attempt: number;
  isReadOut: boolean;
  /** Called when Ctrl+Shift+Escape is pressed: the way out for those without a mouse. */
  onLeave: () => void;
}

/** bash where there is one. */
const SHELL = [
  "/bin/sh",
  "-c",
  "cd 2>/dev/null; if [ -x /bin/bash ]; then exec /bin/bash -l; else exec /bin/sh -l; fi",
];
const SCROLLBACK = 5_000;

allowStyleOfSpans();

/** A shell of a VM in an element. */
export function useTerminal(place: RefObject<HTMLElement | null>, options: UseTerminalOptions) {
  const { vm, attempt, isReadOut, onLeave } = options;
  const [status, setStatus] = useState<TerminalState>({ state: "connecting", step: "" });
  const terminal = useRef<Terminal>(undefined);
  const leave = useRef(onLeave);
  leave.current = onLeave;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt has a shell of its own
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const xterm = new Terminal({
      scrollback: SCROLLBACK,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      fontSize: 13,
      minimumContrastRatio: 4.5,
      theme: terminalTheme(),
      // A guest's text must not become a link that one clicks without seeing where it leads.
      linkHandler: { activate: () => {}, allowNonHttpProtocols: false },
    });
    const fit = new FitAddon();
    xterm.loadAddon(fit);
    withoutStyleElements(() => xterm.open(element));
    fit.fit();
    terminal.current = xterm;
    setStatus({ state: "connecting", step: "" });
    const size = () => ({ cols: xterm.cols, rows: xterm.rows });
    const session = new ExecSession(
      vm,
      { argv: SHELL, env: { TERM: "xterm-256color", COLORTERM: "truecolor" }, tty: size() },
      {
        onOutput: (bytes) => xterm.write(bytes),
        onStarted: () => setStatus({ state: "open" }),
        onProgress: (step) => setStatus({ state: "connecting", step }),
        onEnd: (how) => setStatus({ state: "over", how }),
      },
    );
    const input = xterm.onData((data) => session.write(data));
    xterm.attachCustomKeyEventHandler((event) => {
      if (event.key !== "Escape" || !event.ctrlKey || !event.shiftKey) return true;
      if (event.type === "keydown") leave.current();
      return false;
    });
    const resized = new ResizeObserver(() => {
      // Hidden, it has no size that anything would fit in.
      if (element.offsetParent === null) return;
      fit.fit();
      session.resize(size());
    });
    resized.observe(element);
    const themed = new MutationObserver(() => {
      xterm.options.theme = terminalTheme();
    });
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    xterm.focus();
    return () => {
      resized.disconnect();
      themed.disconnect();
      input.dispose();
      session.close();
      xterm.dispose();
      terminal.current = undefined;
    };
  }, [vm, attempt]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new terminal is to be told, too
  useEffect(() => {
    if (terminal.current !== undefined) terminal.current.options.screenReaderMode = isReadOut;
  }, [isReadOut, attempt]);
  return { status, focus: () => terminal.current?.focus() };
}
