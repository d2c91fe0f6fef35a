import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import { CallLimits } from "./limits.ts";

test("calls at once are counted in and out, each once", () => {
  const limits = new CallLimits("s", { concurrentCalls: 2 });
  const [first] = [limits.enter(), limits.enter()];
  assert.throws(() => limits.enter(), hasCode("SERVER_BUSY"));
  first();
  first();
  limits.enter();
  assert.throws(() => limits.enter(), hasCode("SERVER_BUSY"));
});

test("calls of a minute are counted from each to a minute later", () => {
  let now = 0;
  const limits = new CallLimits("s", { callsPerMinute: 2 }, () => now);
  limits.enter();
  now = 30_000;
  limits.enter();
  assert.throws(() => limits.enter(), /takes 2 calls a minute/);
  now = 60_001;
  limits.enter();
  assert.throws(() => limits.enter(), hasCode("SERVER_BUSY"));
});

test("a result of more bytes than allowed is refused", () => {
  const limits = new CallLimits("s", { resultBytes: 2_000 });
  limits.checkResult(2_000);
  assert.throws(() => limits.checkResult(2_001), hasCode("SERVER_PROTOCOL_ERROR"));
});
