import assert from "node:assert/strict";
import { test } from "node:test";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { StartBackoff } from "./start-backoff.ts";

function backoffOf() {
  const clock = { nowMs: 1_000_000 };
  const backoff = new StartBackoff("git", () => clock.nowMs);
  /** For how long calls are answered with the last failure, s. */
  const waitOf = () => {
    try {
      backoff.require();
      return 0;
    } catch (thrown) {
      return Number((thrown as FirebreakError).details?.retryAfterMs) / 1_000;
    }
  };
  return { backoff, clock, waitOf };
}

const broken = () => new FirebreakError("SERVER_FAILED", "the server 'git' has ended with code 1");

test("a server that does not start is tried ever less often, until it does", () => {
  const { backoff, clock, waitOf } = backoffOf();
  assert.equal(waitOf(), 0);
  for (const seconds of [5, 30, 300, 300]) {
    backoff.noteFailure(broken());
    assert.equal(waitOf(), seconds);
    clock.nowMs += seconds * 1_000 - 1;
    assert.equal(waitOf(), 0.001);
    clock.nowMs += 1;
    assert.equal(waitOf(), 0);
  }
  backoff.noteSuccess();
  assert.equal(backoff.last, undefined);
  backoff.noteFailure(broken());
  assert.equal(waitOf(), 5);
});

test("the error is the one that there was, and says when it is tried again and how at once", () => {
  const { backoff } = backoffOf();
  backoff.noteFailure(broken());
  assert.throws(() => backoff.require(), {
    code: "SERVER_FAILED",
    message: "the server 'git' has ended with code 1",
    hint: /^A call tries again in 5 s; at once: firebreak server start git\. .*server logs git$/,
  });
});

test("what costs no VM, or is no fault of the server, is tried again at once", () => {
  const { backoff, waitOf } = backoffOf();
  for (const code of ["IMAGE_NOT_FOUND", "OPERATION_CANCELED", "VM_MEMORY_EXHAUSTED", "SECRET_INVALID"] as const)
    backoff.noteFailure(new FirebreakError(code, "no"));
  assert.equal(waitOf(), 0);
});
