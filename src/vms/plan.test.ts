import assert from "node:assert/strict";
import { test } from "node:test";
import { planVm } from "./plan.ts";

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
