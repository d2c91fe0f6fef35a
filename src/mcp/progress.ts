import type { Progress } from "../contract/vm.ts";

/** Steps that come quicker than this one after another are one to the caller, ms. */
const LEAST_INTERVAL_MS = 200;

/** A notification's values: `progress` grows with each (the protocol wants that), whatever the step's own fraction does. */
export interface ProgressNote {
  progress: number;
  message: string;
}

/** Turns steps of work into notes for a caller: each new step at once, news within a step at a bounded rate. */
export function createProgressReporter(
  send: (note: ProgressNote) => void,
  nowMs: () => number = () => performance.now(),
): (progress: Progress) => void {
  let count = 0;
  let lastStep: string | undefined;
  let lastMs = Number.NEGATIVE_INFINITY;
  return ({ step, message, fraction }) => {
    if (step === lastStep && nowMs() - lastMs < LEAST_INTERVAL_MS) return;
    lastStep = step;
    lastMs = nowMs();
    count += 1;
    send({
      progress: count,
      message: fraction === undefined ? message : `${message} (${Math.round(fraction * 100)} %)`,
    });
  };
}
