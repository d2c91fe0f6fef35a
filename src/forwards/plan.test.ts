import assert from "node:assert/strict";
import { test } from "node:test";
import { FORWARD_STATES } from "../contract/forward.ts";
import { VM_STATES } from "../contract/vm.ts";
import { planForward } from "./plan.ts";

const kinds = (...facts: Parameters<typeof planForward>) => planForward(...facts).map((step) => step.kind);

test("a port is open while its VM can be reached or is on its way, and closed otherwise", () => {
  const open = VM_STATES.filter((vmState) => kinds({ vmState, port: "inactive" }).includes("listen"));
  assert.deepEqual(open, ["created", "starting", "running", "paused", "suspending", "suspended"]);
  for (const vmState of VM_STATES)
    assert.deepEqual(kinds({ vmState, port: "listening" }), open.includes(vmState) ? [] : ["close"], vmState);
});

test("what has failed is tried again while there is a use for it, and forgiven otherwise", () => {
  assert.deepEqual(kinds({ vmState: "running", port: "failed" }), ["listen"]);
  assert.deepEqual(kinds({ vmState: "stopped", port: "failed" }), ["close"]);
});

test("a forward goes with its VM, whatever it was doing", () => {
  for (const port of FORWARD_STATES)
    assert.deepEqual(kinds({ vmState: undefined, port }), port === "inactive" ? ["forget"] : ["close", "forget"]);
});
