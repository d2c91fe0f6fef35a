import type { GuestExec } from "../vm-client.ts";

/** How long a command that was given up may take to say that it has started, ms. */
const START_DEADLINE_MS = 10_000;

/**
 * Hangs up on a command when the signal aborts, so that the daemon ends it; on one that has not started yet, as soon as it
 * has: the daemon cannot end a command whose id it has not been told. Returns what ends the watch.
 */
export function endOnAbort(exec: GuestExec, signal: AbortSignal, onStarted: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const close = () => exec.close();
  const onAbort = () => {
    if (exec.started !== undefined) close();
    else timer = setTimeout(close, START_DEADLINE_MS);
  };
  exec.onStarted = () => {
    if (signal.aborted) close();
    else onStarted();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    close();
  };
}
