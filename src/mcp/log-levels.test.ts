import assert from "node:assert/strict";
import { test } from "node:test";
import { isLogLevel, isMoreVerbose } from "./log-levels.ts";

test("levels are those of syslog, from the most verbose one on", () => {
  assert.ok(isMoreVerbose("debug", "info"));
  assert.ok(!isMoreVerbose("info", "info"));
  assert.ok(!isMoreVerbose("emergency", "error"));
  assert.deepEqual(["notice", "trace", undefined].map(isLogLevel), [true, false, false]);
});
