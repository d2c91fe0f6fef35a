import os from "node:os";
import type { ExecExit } from "../guest/protocol.ts";

/** What `timeout(1)` returns when it had to end the command. */
const TIMED_OUT = 124;

/** The exit code that stands for how a command in a VM ended: its own, 128 + signal, or 124 for its timeout. */
export function exitCodeOf(exit: Pick<ExecExit, "exitCode" | "signal" | "timedOut">): number {
  if (exit.timedOut) return TIMED_OUT;
  if (exit.exitCode !== null) return exit.exitCode;
  const signals: Record<string, number> = os.constants.signals;
  return 128 + (Object.hasOwn(signals, exit.signal ?? "") ? (signals[exit.signal ?? ""] ?? 0) : 0);
}
