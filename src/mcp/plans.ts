import type { PlanRequest, VmPlan } from "../contract/vm.ts";
import type { Planner } from "./tool.ts";

/** What each kind of the planner's steps means. */
const MEANINGS: Record<string, string> = {
  create_drive: "make its writable drive",
  copy_drive: "copy the saved drive to be its own",
  start_vmm: "boot it",
  restore_vmm: "bring up the saved machine",
  await_guest: "wait for its guest agent",
  personalise: "give it its name, clock and randomness",
  attach_drives: "give it the drives that outlive it",
  serve_mounts: "let it see what it has mounted of this machine, and nothing of what another VM has",
  let_go_of_drives: "have it write out and let go of the drives that outlive it",
  push_workspace: "copy its workspace's directory into it",
  pull_workspace: "bring what has changed in its workspace back",
  pause_vmm: "make its CPUs stand still",
  resume_vmm: "let its CPUs go on",
  suspend_vmm: "save memory and devices to disk",
  discard_suspension: "remove what it was suspended to",
  stop_guest: "ask its guest to shut down",
  end_vmm: "end its VMM, with all that runs in it",
  remove_files: "delete its disk and all files on it",
  forget: "forget it and its history",
};

/** A plan of the planner's, in words. */
export function describeSteps(steps: VmPlan["steps"]): string[] {
  return steps.map(({ kind, ...detail }) => {
    if (kind === "mark") return `mark: note that it is ${detail.state}`;
    const meaning = MEANINGS[kind];
    return meaning === undefined ? kind : `${kind}: ${meaning}`;
  });
}

/** The plan of a tool that brings the VM that it is about to a state. */
export function planTo(state: PlanRequest["state"]): Planner<{ vm: string }> {
  return async ({ vm: nameOrId }, { client, signal }) => {
    const { vm, steps } = await client.vms.plan(nameOrId, { state }, { signal });
    return { steps: describeSteps(steps), state: { vm, steps }, pinned: { vm: vm.id }, vm: vm.name };
  };
}
