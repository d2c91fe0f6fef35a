import assert from "node:assert/strict";
import { test } from "node:test";
import { planRestart } from "./restart.ts";

const FAILED = { isFailure: true, ranMs: 1_000 };
const record = (more: object) => ({
  restart: { policy: "always" as const },
  restartCount: 0,
  isWanted: true,
  ephemeral: false,
  ...more,
});

test("'never' never, 'on-failure' after a failure alone, 'always' after either", () => {
  for (const [policy, afterFailure, afterPowerOff] of [
    ["never", "none", "none"],
    ["on-failure", "restart", "none"],
    ["always", "restart", "restart"],
  ] as const) {
    assert.equal(planRestart(record({ restart: { policy } }), FAILED).kind, afterFailure, policy);
    assert.equal(
      planRestart(record({ restart: { policy } }), { ...FAILED, isFailure: false }).kind,
      afterPowerOff,
      policy,
    );
  }
});

test("a VM that somebody stopped, and one that goes with its command, stay as they are", () => {
  assert.equal(planRestart(record({ isWanted: false }), FAILED).kind, "none");
  assert.equal(planRestart(record({ ephemeral: true }), FAILED).kind, "none");
});

test("each restart in a row waits twice as long, up to a minute", () => {
  const delays = [0, 1, 2, 5, 6, 900].map((restartCount) => planRestart(record({ restartCount }), FAILED));
  assert.deepEqual(
    delays.map((plan) => plan.kind === "restart" && [plan.delayMs, plan.count]),
    [
      [1_000, 1],
      [2_000, 2],
      [4_000, 3],
      [32_000, 6],
      [60_000, 7],
      [60_000, 901],
    ],
  );
});

test("a VM that has run for a minute was well: it begins anew", () => {
  assert.deepEqual(planRestart(record({ restartCount: 9 }), { isFailure: true, ranMs: 60_000 }), {
    kind: "restart",
    delayMs: 1_000,
    count: 1,
  });
});

test("after as many as the policy allows it is given up, unless it ran well in between", () => {
  const limited = { restart: { policy: "on-failure", maxRetries: 3 }, restartCount: 3 };
  assert.equal(planRestart(record(limited), FAILED).kind, "give_up");
  assert.equal(planRestart(record({ ...limited, restartCount: 2 }), FAILED).kind, "restart");
  assert.equal(planRestart(record(limited), { isFailure: true, ranMs: 600_000 }).kind, "restart");
});
