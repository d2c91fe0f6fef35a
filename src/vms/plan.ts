import type { VmState } from "../contract/vm.ts";
import type { StartFrom } from "./vm-store.ts";

/** What is wanted of a VM. */
export type VmTarget =
  | { state: "running" }
  | { state: "paused" }
  | { state: "suspended" }
  | { state: "stopped"; graceMs: number }
  | { state: "absent" };

/** What is there now. */
export interface VmFacts {
  state: VmState;
  hasDrive: boolean;
  isVmmAlive: boolean;
  startFrom: StartFrom;
  /** It has drives that are attached to it once it runs. */
  hasAttached?: boolean;
  /** It sees something of the host's live. */
  hasMounts?: boolean;
  /** A workspace is pushed at its start and pulled before its end; of one that is deleted with its command, as far as that is possible. */
  workspace?: "required" | "best_effort";
}

/** What a VM is brought up from when it is not booted. */
export type SavedSource = Exclude<StartFrom, { from: "boot" }>;

export type VmStep =
  | { kind: "create_drive" }
  | { kind: "copy_drive"; source: SavedSource }
  | { kind: "start_vmm" }
  | { kind: "restore_vmm"; source: SavedSource }
  | { kind: "await_guest" }
  /** A new machine gets a name and ids of its own; the same one only the time and fresh randomness. */
  | { kind: "personalise"; identity: "new" | "same" }
  /** Those that outlive it; one that was suspended has them already. */
  | { kind: "attach_drives" }
  /** What it sees of the host is there from its first command on; of another VM's mounts, a fork sees nothing. */
  | { kind: "serve_mounts" }
  /** What a guest has written to drives that outlive it is on them before it ends. */
  | { kind: "let_go_of_drives" }
  | { kind: "pause_vmm" }
  | { kind: "resume_vmm" }
  /** Memory and devices go to disk, and the VMM ends. */
  | { kind: "suspend_vmm" }
  | { kind: "discard_suspension" }
  | { kind: "push_workspace" }
  /** `isReachable`: there is a VMM whose guest can be asked. */
  | { kind: "pull_workspace"; isRequired: boolean; isReachable: boolean }
  | { kind: "stop_guest"; graceMs: number }
  | { kind: "end_vmm" }
  | { kind: "mark"; state: VmState }
  | { kind: "remove_files" }
  | { kind: "forget" };

/** The steps from what is to what is wanted, in order. Pure: it is also the dry run. */
export function planVm(target: VmTarget, facts: VmFacts): VmStep[] {
  switch (target.state) {
    case "running":
      return planRunning(facts);
    case "paused":
      return facts.state === "paused" ? [] : [{ kind: "pause_vmm" }, { kind: "mark", state: "paused" }];
    case "suspended":
      if (facts.state === "suspended") return [];
      return [
        { kind: "mark", state: "suspending" },
        { kind: "suspend_vmm" },
        { kind: "end_vmm" },
        { kind: "mark", state: "suspended" },
      ];
    case "stopped":
      return planStopped(target.graceMs, facts);
    case "absent":
      return [
        ...planLastPull(facts),
        { kind: "mark", state: "deleting" },
        ...(facts.hasAttached && facts.isVmmAlive && facts.state === "running"
          ? [{ kind: "let_go_of_drives" } as const]
          : []),
        { kind: "end_vmm" },
        { kind: "remove_files" },
        { kind: "forget" },
      ];
  }
}

/** Before anything of a VM is given up for ever. */
function planLastPull({ workspace, state, isVmmAlive }: VmFacts): VmStep[] {
  if (workspace === undefined || state === "deleting") return [];
  const isReachable = isVmmAlive && (state === "running" || state === "paused");
  return [
    ...(isReachable && state === "paused" ? [{ kind: "resume_vmm" } as const] : []),
    { kind: "pull_workspace", isRequired: workspace === "required", isReachable },
  ];
}

function planRunning(facts: VmFacts): VmStep[] {
  if (facts.isVmmAlive && facts.state === "running") return [];
  if (facts.isVmmAlive && facts.state === "paused") return [{ kind: "resume_vmm" }, { kind: "mark", state: "running" }];
  return [
    { kind: "mark", state: "starting" },
    // A VMM without a running VM is what a dead daemon left in the middle of a start.
    ...(facts.isVmmAlive ? [{ kind: "end_vmm" } as const] : []),
    ...planBringUp(facts),
    ...planPush(facts),
    { kind: "mark", state: "running" },
    ...(facts.startFrom.from === "suspension" ? [{ kind: "discard_suspension" } as const] : []),
  ];
}

/** A machine that goes on as it was has its workspace already. */
function planPush({ workspace, startFrom }: VmFacts): VmStep[] {
  const isFresh = startFrom.from === "boot" || startFrom.from === "template";
  return workspace !== undefined && isFresh ? [{ kind: "push_workspace" }] : [];
}

function planBringUp({ startFrom, hasDrive, hasAttached, hasMounts }: VmFacts): VmStep[] {
  const serve: VmStep[] = hasMounts || startFrom.from === "snapshot" ? [{ kind: "serve_mounts" }] : [];
  const attach: VmStep[] = [...(hasAttached ? [{ kind: "attach_drives" } as const] : []), ...serve];
  switch (startFrom.from) {
    case "boot":
      return [
        ...(hasDrive ? [] : [{ kind: "create_drive" } as const]),
        { kind: "start_vmm" },
        { kind: "await_guest" },
        { kind: "personalise", identity: "new" },
        ...attach,
      ];
    case "suspension":
      return [
        { kind: "restore_vmm", source: startFrom },
        { kind: "await_guest" },
        { kind: "personalise", identity: "same" },
        ...serve,
      ];
    case "template":
    case "snapshot":
      return [
        // A drive that is there is of an earlier attempt, or of the state that is left behind.
        { kind: "copy_drive", source: startFrom },
        { kind: "restore_vmm", source: startFrom },
        { kind: "await_guest" },
        { kind: "personalise", identity: startFrom.from === "template" || startFrom.isFork ? "new" : "same" },
        ...attach,
      ];
  }
}

function planStopped(graceMs: number, facts: VmFacts): VmStep[] {
  const end: VmStep[] = [{ kind: "end_vmm" }, { kind: "mark", state: "stopped" }];
  if (facts.state === "suspended") {
    // What its guest had not yet written to its disk is in its memory: it is brought back to write it.
    const wake: VmStep[] =
      graceMs > 0
        ? [
            ...planBringUp(facts),
            ...planPull(facts),
            { kind: "mark", state: "stopping" },
            { kind: "stop_guest", graceMs },
          ]
        : [];
    return [...wake, ...end, { kind: "discard_suspension" }];
  }
  if (!facts.isVmmAlive) return facts.state === "stopped" ? [] : end;
  const resume: VmStep[] = facts.state === "paused" && graceMs > 0 ? [{ kind: "resume_vmm" }] : [];
  const pull = graceMs > 0 ? planPull(facts) : [];
  return [
    // While it counts as running: a daemon that dies during the pull leaves a VM that goes on.
    ...(pull.length > 0 ? [...resume, ...pull] : []),
    { kind: "mark", state: "stopping" },
    ...(pull.length > 0 ? [] : resume),
    ...(graceMs > 0 ? [{ kind: "stop_guest", graceMs } as const] : []),
    ...end,
  ];
}

function planPull({ workspace }: VmFacts): VmStep[] {
  return workspace === undefined ? [] : [{ kind: "pull_workspace", isRequired: false, isReachable: true }];
}
