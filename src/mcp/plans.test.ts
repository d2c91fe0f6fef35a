import assert from "node:assert/strict";
import { test } from "node:test";
import { VM_STATES } from "../contract/vm.ts";
import { planVm, type VmTarget } from "../vms/plan.ts";
import type { StartFrom } from "../vms/vm-store.ts";
import { describeSteps } from "./plans.ts";

test("every step that the planner can plan has its words", () => {
  const targets: VmTarget[] = [
    ...(["running", "paused", "suspended", "absent"] as const).map((state) => ({ state })),
    { state: "stopped", graceMs: 0 },
    { state: "stopped", graceMs: 1000 },
  ];
  const sources: StartFrom[] = [
    { from: "boot" },
    { from: "template" },
    { from: "suspension" },
    { from: "snapshot", id: "x", isFork: true },
  ];
  const kinds = new Set<string>();
  for (const target of targets)
    for (const state of VM_STATES)
      for (const startFrom of sources)
        for (const isThere of [false, true]) {
          const more = isThere ? ({ hasAttached: true, workspace: "required" } as const) : {};
          const steps = planVm(target, { state, startFrom, hasDrive: isThere, isVmmAlive: isThere, ...more });
          for (const [index, text] of describeSteps(steps).entries()) {
            const kind = steps[index]?.kind ?? "";
            kinds.add(kind);
            assert.match(text, new RegExp(`^${kind}: [a-z]`));
          }
        }
  assert.ok(kinds.size >= 18, [...kinds].join());
});
