import type { Vm, VmState } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { VmRecord, VmStore } from "./vm-store.ts";

/** What can be waited for: a state, or that the VM is no more. */
export type AwaitedState = VmState | "deleted";

export interface WaitOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Resolves when a VM is in one of the states, which may be at once. A VM that is deleted meanwhile ends the wait: with the answer, where that was
 * waited for, with VM_NOT_FOUND otherwise. Throws DEADLINE_EXCEEDED, OPERATION_CANCELED.
 */
export function waitForVm(
  store: VmStore,
  id: string,
  states: readonly AwaitedState[],
  { timeoutMs, signal }: WaitOptions,
  toVm: (record: VmRecord) => Vm,
): Promise<{ state: AwaitedState; vm?: Vm }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ state: AwaitedState; vm?: Vm }>();
  const name = store.get(id)?.name ?? id;
  const look = () => {
    const record = store.get(id);
    const state = record?.state ?? "deleted";
    if (states.includes(state)) resolve(record === undefined ? { state } : { state, vm: toVm(record) });
    else if (record === undefined) reject(new FirebreakError("VM_NOT_FOUND", `the VM '${name}' has been deleted`));
  };
  // States change with an event or a moment before it.
  const stop = store.onEvent(({ vmId }) => vmId === id && look());
  const onAbort = () => reject(new FirebreakError("OPERATION_CANCELED", "the caller is gone"));
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          const state = store.get(id)?.state ?? "deleted";
          reject(
            new FirebreakError("DEADLINE_EXCEEDED", `the VM '${name}' is ${state}, not ${states.join(" or ")}`, {
              hint: "Its history: firebreak vm events NAME",
              details: { state },
            }),
          );
        }, timeoutMs);
  if (signal?.aborted) onAbort();
  else look();
  return promise.finally(() => {
    stop();
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  });
}
