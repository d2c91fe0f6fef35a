import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "./pace.ts";

const KIB = 1024;

function open() {
  let ms = 0;
  const pace = new Pace(() => ms);
  return {
    pace,
    pass: (by: number) => {
      ms += by;
    },
  };
}

test("a burst goes at once, and what comes after it at the rate", () => {
  const { pace, pass } = open();
  assert.equal(pace.waitMs(100 * KIB), 0);
  pace.spend(116 * KIB);
  assert.equal(pace.waitMs(100 * KIB), 1001);
  pass(1001);
  assert.equal(pace.waitMs(100 * KIB), 0);
});

test("at a higher rate the wait is shorter", () => {
  const { pace } = open();
  pace.spend(116 * KIB);
  assert.equal(pace.waitMs(100 * KIB), 1001);
  assert.equal(pace.waitMs(1000 * KIB), 101);
});

test("what has not been used for long is one burst, no more", () => {
  const { pace, pass } = open();
  pass(3_600_000);
  assert.equal(pace.waitMs(100 * KIB), 0);
  pace.spend(17 * KIB);
  assert.notEqual(pace.waitMs(100 * KIB), 0);
});
