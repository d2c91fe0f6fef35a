import type { ForwardState } from "../contract/forward.ts";
import type { VmState } from "../contract/vm.ts";

/** States in which a connection reaches the VM, or waits until it does. */
const REACHABLE: ReadonlySet<VmState> = new Set([
  "created",
  "starting",
  "running",
  "paused",
  "suspending",
  "suspended",
]);

export interface ForwardFacts {
  /** Of the VM; none when the forward or its VM is gone. */
  vmState: VmState | undefined;
  port: ForwardState;
}

export type ForwardStep = { kind: "listen" } | { kind: "close" } | { kind: "forget" };

/** What brings a forward's port to agree with its VM: it listens for as long as the VM is there to be reached. */
export function planForward({ vmState, port }: ForwardFacts): ForwardStep[] {
  const close: ForwardStep[] = port === "inactive" ? [] : [{ kind: "close" }];
  if (vmState === undefined) return [...close, { kind: "forget" }];
  if (!REACHABLE.has(vmState)) return close;
  return port === "listening" ? [] : [{ kind: "listen" }];
}
