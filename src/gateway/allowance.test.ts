import assert from "node:assert/strict";
import { test } from "node:test";
import { Allowance } from "./allowance.ts";

test("a burst passes, then as many as the time allows", () => {
  let nowMs = 0;
  const allowance = new Allowance(() => nowMs);
  const count = (tries: number) => Array.from({ length: tries }, () => allowance.take()).filter(Boolean).length;
  assert.equal(count(1_000), 200);
  nowMs += 1_000;
  assert.equal(count(1_000), 100);
  nowMs += 3_600_000;
  assert.equal(count(1_000), 200);
});
