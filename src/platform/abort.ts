import { FirebreakError } from "../errors/firebreak-error.ts";

/** What is waited for, unless the one who waits gives up: OPERATION_CANCELED then, and the work goes on without them. */
export function orGiveUp<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new FirebreakError("OPERATION_CANCELED", "the caller is gone"));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener("abort", onAbort));
}

/** Throws OPERATION_CANCELED when the one who asked has given up. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "the caller is gone");
}
