import type { VmState } from "../contract/vm.ts";

/** What is wanted of a VM. */
export type VmTarget = { state: "running" } | { state: "stopped"; graceMs: number } | { state: "absent" };

/** What is there now. */
export interface VmFacts {
  state: VmState;
  hasDrive: boolean;
  isVmmAlive: boolean;
}

export type VmStep =
  | { kind: "create_drive" }
  | { kind: "start_vmm" }
  | { kind: "await_guest" }
  | { kind: "personalise" }
  | { kind: "stop_guest"; graceMs: number }
  | { kind: "end_vmm" }
  | { kind: "mark"; state: VmState }
  | { kind: "remove_files" }
  | { kind: "forget" };

/** The steps from what is to what is wanted, in order. Pure: it is also the dry run. */
export function planVm(target: VmTarget, facts: VmFacts): VmStep[] {
  switch (target.state) {
    case "running":
      if (facts.isVmmAlive && facts.state === "running") return [];
      return [
        { kind: "mark", state: "starting" },
        ...(facts.hasDrive ? [] : [{ kind: "create_drive" } as const]),
        // A VMM without a running VM is what a dead daemon left in the middle of a start.
        ...(facts.isVmmAlive ? [{ kind: "end_vmm" } as const] : []),
        { kind: "start_vmm" },
        { kind: "await_guest" },
        { kind: "personalise" },
        { kind: "mark", state: "running" },
      ];
    case "stopped":
      if (!facts.isVmmAlive)
        return facts.state === "stopped" ? [] : [{ kind: "end_vmm" }, { kind: "mark", state: "stopped" }];
      return [
        { kind: "mark", state: "stopping" },
        ...(target.graceMs > 0 ? [{ kind: "stop_guest", graceMs: target.graceMs } as const] : []),
        { kind: "end_vmm" },
        { kind: "mark", state: "stopped" },
      ];
    case "absent":
      return [{ kind: "mark", state: "deleting" }, { kind: "end_vmm" }, { kind: "remove_files" }, { kind: "forget" }];
  }
}
