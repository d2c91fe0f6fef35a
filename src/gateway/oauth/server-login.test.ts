import assert from "node:assert/strict";
import { test } from "node:test";
import { isEnding } from "./server-login.ts";

test("a token is replaced half a minute before its end, a short-lived one in the middle of its life, one without an end never", () => {
  const hour = { givenAtMs: 0, endsAtMs: 3_600_000 };
  assert.deepEqual(
    [3_569_999, 3_570_000].map((now) => isEnding(hour, now)),
    [false, true],
  );
  const short = { givenAtMs: 0, endsAtMs: 10_000 };
  assert.deepEqual(
    [4_999, 5_000].map((now) => isEnding(short, now)),
    [false, true],
  );
  assert.equal(isEnding({ givenAtMs: 0, endsAtMs: undefined }, Number.MAX_SAFE_INTEGER), false);
});
