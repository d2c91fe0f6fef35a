import assert from "node:assert/strict";
import { test } from "node:test";
import { planVm, type VmStep } from "./plan.ts";
import type { StartFrom } from "./vm-store.ts";

const boot = { from: "boot" } as const;
const kinds = (steps: { kind: string }[]) => steps.map((step) => step.kind);

test("a new VM gets a drive, a VMM, its guest and its identity, in this order", () => {
  const steps = planVm({ state: "running" }, { state: "created", hasDrive: false, isVmmAlive: false, startFrom: boot });
  assert.deepEqual(kinds(steps), ["mark", "create_drive", "start_vmm", "await_guest", "personalise", "mark"]);
});

test("a stopped VM starts on the drive it has", () => {
  const steps = planVm({ state: "running" }, { state: "stopped", hasDrive: true, isVmmAlive: false, startFrom: boot });
  assert.ok(!kinds(steps).includes("create_drive"));
});

test("a start that a dead daemon left half done ends the old VMM first", () => {
  const steps = kinds(
    planVm({ state: "running" }, { state: "starting", hasDrive: true, isVmmAlive: true, startFrom: boot }),
  );
  assert.ok(steps.indexOf("end_vmm") < steps.indexOf("start_vmm"));
});

test("a VM with drives has them from its start on, and lets go of them before it is deleted", () => {
  const facts = { state: "created", hasDrive: false, isVmmAlive: false, startFrom: boot, hasAttached: true } as const;
  assert.deepEqual(kinds(planVm({ state: "running" }, facts)).slice(-3), ["personalise", "attach_drives", "mark"]);
  // What was suspended has them as it was saved.
  const suspended = { ...facts, state: "suspended", startFrom: { from: "suspension" } } as const;
  assert.ok(!kinds(planVm({ state: "running" }, suspended)).includes("attach_drives"));
  const running = { ...facts, state: "running", isVmmAlive: true } as const;
  assert.deepEqual(kinds(planVm({ state: "absent" }, running)).slice(0, 3), ["mark", "let_go_of_drives", "end_vmm"]);
  // One that stands still is not asked.
  assert.ok(!kinds(planVm({ state: "absent" }, { ...running, state: "paused" })).includes("let_go_of_drives"));
});

test("a running VM that is wanted running needs nothing", () => {
  assert.deepEqual(
    planVm({ state: "running" }, { state: "running", hasDrive: true, isVmmAlive: true, startFrom: boot }),
    [],
  );
});

test("a stop asks the guest first, a forced stop does not", () => {
  const facts = { state: "running", hasDrive: true, isVmmAlive: true, startFrom: boot } as const;
  assert.deepEqual(kinds(planVm({ state: "stopped", graceMs: 3000 }, facts)), [
    "mark",
    "stop_guest",
    "end_vmm",
    "mark",
  ]);
  assert.deepEqual(kinds(planVm({ state: "stopped", graceMs: 0 }, facts)), ["mark", "end_vmm", "mark"]);
});

test("a crashed VM that is stopped is cleaned up and marked", () => {
  const steps = planVm(
    { state: "stopped", graceMs: 1 },
    { state: "crashed", hasDrive: true, isVmmAlive: false, startFrom: boot },
  );
  assert.deepEqual(kinds(steps), ["end_vmm", "mark"]);
});

test("a deletion is marked before anything is removed, so that a dead daemon's deletion goes on", () => {
  const steps = planVm({ state: "absent" }, { state: "running", hasDrive: true, isVmmAlive: true, startFrom: boot });
  assert.deepEqual(steps[0], { kind: "mark", state: "deleting" });
  assert.deepEqual(kinds(steps).slice(1), ["end_vmm", "remove_files", "forget"]);
});

const template = { from: "template" } as const;
const suspension = { from: "suspension" } as const;
const fork = { from: "snapshot", id: "0123456789ab", isFork: true } as const;
const restored = { from: "snapshot", id: "0123456789ab", isFork: false } as const;
const identityIn = (steps: VmStep[]) => steps.find((step) => step.kind === "personalise")?.identity;

test("a VM from a template or a snapshot gets a copy of its drive before its memory, also when a drive is there", () => {
  for (const startFrom of [template, fork, restored]) {
    for (const hasDrive of [false, true]) {
      const steps = planVm({ state: "running" }, { state: "created", hasDrive, isVmmAlive: false, startFrom });
      const serve = startFrom.from === "snapshot" ? ["serve_mounts"] : [];
      const expected = ["mark", "copy_drive", "restore_vmm", "await_guest", "personalise", ...serve, "mark"];
      assert.deepEqual(kinds(steps), expected);
      for (const step of steps) if ("source" in step) assert.deepEqual(step.source, startFrom);
    }
  }
});

test("a fork becomes a machine of its own; a VM that is restored or was suspended stays the one that it is", () => {
  const facts = { state: "created", hasDrive: false, isVmmAlive: false } as const;
  const plan = (startFrom: StartFrom) => planVm({ state: "running" }, { ...facts, startFrom });
  assert.deepEqual([boot, template, fork].map(plan).map(identityIn), ["new", "new", "new"]);
  assert.deepEqual([restored, suspension].map(plan).map(identityIn), ["same", "same"]);
});

test("what a VM sees of the host is there before it counts as running, however it comes up", () => {
  for (const startFrom of [boot, template, fork, restored, suspension]) {
    const state = startFrom.from === "suspension" ? "suspended" : "created";
    const facts = { state, hasDrive: true, isVmmAlive: false, startFrom, hasMounts: true } as const;
    const steps = planVm({ state: "running" }, facts);
    const served = steps.findIndex(({ kind }) => kind === "serve_mounts");
    const isRunning = steps.findIndex((step) => step.kind === "mark" && step.state === "running");
    assert.ok(kinds(steps).indexOf("personalise") < served && served < isRunning);
  }
});

test("a suspended VM comes back on the drive that it has, and what it was saved to goes once it runs", () => {
  const facts = { state: "suspended", hasDrive: true, isVmmAlive: false, startFrom: suspension } as const;
  const steps = kinds(planVm({ state: "running" }, facts));
  assert.deepEqual(steps, ["mark", "restore_vmm", "await_guest", "personalise", "mark", "discard_suspension"]);
});

test("a pause and a resume are one step each, and nothing where nothing is to be done", () => {
  const running = { state: "running", hasDrive: true, isVmmAlive: true, startFrom: boot } as const;
  const paused = { ...running, state: "paused" } as const;
  assert.deepEqual(planVm({ state: "paused" }, running), [{ kind: "pause_vmm" }, { kind: "mark", state: "paused" }]);
  assert.deepEqual(planVm({ state: "paused" }, paused), []);
  assert.deepEqual(planVm({ state: "running" }, paused), [{ kind: "resume_vmm" }, { kind: "mark", state: "running" }]);
});

test("a paused VM whose VMM has gone is brought up, not resumed", () => {
  const facts = { state: "paused", hasDrive: true, isVmmAlive: false, startFrom: boot } as const;
  assert.ok(kinds(planVm({ state: "running" }, facts)).includes("start_vmm"));
});

test("a suspension is marked before it is begun, and done only once the VMM has ended", () => {
  const facts = { state: "running", hasDrive: true, isVmmAlive: true, startFrom: boot } as const;
  assert.deepEqual(planVm({ state: "suspended" }, facts), [
    { kind: "mark", state: "suspending" },
    { kind: "suspend_vmm" },
    { kind: "end_vmm" },
    { kind: "mark", state: "suspended" },
  ]);
  const suspended = { ...facts, state: "suspended", isVmmAlive: false, startFrom: suspension } as const;
  assert.deepEqual(planVm({ state: "suspended" }, suspended), []);
});

test("a paused VM that is stopped goes on for its shutdown, unless it is forced", () => {
  const facts = { state: "paused", hasDrive: true, isVmmAlive: true, startFrom: boot } as const;
  const stop = (graceMs: number) => kinds(planVm({ state: "stopped", graceMs }, facts));
  assert.deepEqual(stop(1000), ["mark", "resume_vmm", "stop_guest", "end_vmm", "mark"]);
  assert.deepEqual(stop(0), ["mark", "end_vmm", "mark"]);
});

test("a suspended VM that is stopped is brought back to write its disk, unless it is forced", () => {
  const facts = { state: "suspended", hasDrive: true, isVmmAlive: false, startFrom: suspension } as const;
  const steps = kinds(planVm({ state: "stopped", graceMs: 1000 }, facts));
  assert.deepEqual(steps, [
    ...["restore_vmm", "await_guest", "personalise", "mark", "stop_guest"],
    ...["end_vmm", "mark", "discard_suspension"],
  ]);
  const forced = kinds(planVm({ state: "stopped", graceMs: 0 }, facts));
  assert.deepEqual(forced, ["end_vmm", "mark", "discard_suspension"]);
});

test("whatever a VM is and comes from, a plan for it ends in what is wanted, and one of a VM that is there is empty", () => {
  const targets = [
    { state: "running" },
    { state: "paused" },
    { state: "suspended" },
    { state: "stopped", graceMs: 1 },
  ] as const;
  for (const startFrom of [boot, template, fork, restored, suspension]) {
    for (const target of targets) {
      const alive = { state: "running", hasDrive: true, isVmmAlive: true, startFrom } as const;
      const marks = planVm(target, alive).filter((step) => step.kind === "mark");
      if (target.state !== "running") assert.equal(marks.at(-1)?.state, target.state);
      const isVmmAlive = target.state === "running" || target.state === "paused";
      assert.deepEqual(planVm(target, { ...alive, state: target.state, isVmmAlive }), []);
    }
  }
});

test("a workspace is pushed before the VM counts as running, unless the machine goes on as it was", () => {
  const facts = { state: "created", hasDrive: true, isVmmAlive: false, workspace: "required" } as const;
  const push = (startFrom: StartFrom) => {
    const steps = kinds(planVm({ state: "running" }, { ...facts, startFrom }));
    return steps.includes("push_workspace") && steps.indexOf("push_workspace") < steps.lastIndexOf("mark");
  };
  assert.deepEqual([boot, template, suspension, fork].map(push), [true, true, false, false]);
});

test("a workspace is pulled while the VM still counts as running, so that a dead daemon leaves a VM that goes on", () => {
  const facts = { hasDrive: true, isVmmAlive: true, startFrom: boot, workspace: "required" } as const;
  const stop = (state: "running" | "paused", graceMs: number) =>
    kinds(planVm({ state: "stopped", graceMs }, { ...facts, state }));
  assert.deepEqual(stop("running", 1), ["pull_workspace", "mark", "stop_guest", "end_vmm", "mark"]);
  assert.deepEqual(stop("paused", 1), ["resume_vmm", "pull_workspace", "mark", "stop_guest", "end_vmm", "mark"]);
  assert.deepEqual(stop("running", 0), ["mark", "end_vmm", "mark"]);
  const suspended = { ...facts, state: "suspended", isVmmAlive: false, startFrom: suspension } as const;
  const steps = kinds(planVm({ state: "stopped", graceMs: 1 }, suspended));
  assert.deepEqual(steps.slice(steps.indexOf("personalise") + 1, -3), ["pull_workspace", "mark", "stop_guest"]);
});

test("a deletion comes after the last pull, which is needed unless the VM goes with its command", () => {
  const facts = { hasDrive: true, startFrom: boot } as const;
  const firstOf = (workspace: "required" | "best_effort", state: "running" | "crashed" | "deleting") =>
    planVm({ state: "absent" }, { ...facts, workspace, state, isVmmAlive: state === "running" })[0];
  assert.deepEqual(
    [firstOf("required", "running"), firstOf("best_effort", "running"), firstOf("required", "crashed")],
    [
      { kind: "pull_workspace", isRequired: true, isReachable: true },
      { kind: "pull_workspace", isRequired: false, isReachable: true },
      { kind: "pull_workspace", isRequired: true, isReachable: false },
    ],
  );
  assert.deepEqual(firstOf("required", "deleting"), { kind: "mark", state: "deleting" });
});
