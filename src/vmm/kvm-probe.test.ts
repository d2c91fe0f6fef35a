import assert from "node:assert/strict";
import { test } from "node:test";
import { probeDeadline } from "./kvm-probe.ts";

test("a probe has its own deadline unless the environment has a number", () => {
  assert.equal(probeDeadline("120000"), 120_000);
  for (const given of [undefined, "", "0", "-1", "soon", "1e9", "12345678"]) assert.equal(probeDeadline(given), 1_700);
});
