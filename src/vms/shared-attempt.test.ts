import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import type { WorkOptions } from "./ports.ts";
import { SharedAttempt } from "./shared-attempt.ts";

function attemptOf() {
  const shared = new SharedAttempt<string>();
  const begun: { options: WorkOptions; resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const join = (options: WorkOptions = {}) =>
    shared.join(options, (own) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      begun.push({ options: own, resolve, reject });
      return promise;
    });
  return { shared, begun, join };
}

test("those who come while it is under way share what it comes to, and hear how it goes", async () => {
  const { shared, begun, join } = attemptOf();
  const heard: string[] = [];
  const first = join({ onProgress: ({ message }) => void heard.push(`1 ${message}`) });
  const second = join({ onProgress: ({ message }) => void heard.push(`2 ${message}`) });
  begun[0]?.options.onProgress?.({ step: "start", message: "go" });
  begun[0]?.resolve("done");
  assert.deepEqual(await Promise.all([first, second]), ["done", "done"]);
  assert.deepEqual([begun.length, heard, shared.isUnderWay], [1, ["1 go", "2 go"], false]);
  const failing = [join(), join()];
  begun[1]?.reject(new Error("broken"));
  for (const each of failing) await assert.rejects(each, /broken/);
  assert.equal(begun.length, 2);
});

test("it goes on for whoever waits still, and is given up with the last one", async () => {
  const { begun, join } = attemptOf();
  const [one, two] = [new AbortController(), new AbortController()];
  const [first, second] = [join({ signal: one.signal }), join({ signal: two.signal })];
  one.abort();
  await assert.rejects(first, hasCode("OPERATION_CANCELED"));
  assert.equal(begun[0]?.options.signal?.aborted, false);
  two.abort();
  await assert.rejects(second, hasCode("OPERATION_CANCELED"));
  assert.equal(begun[0]?.options.signal?.aborted, true);
  // What has been given up is not for those who come now.
  const third = join();
  begun[1]?.resolve("anew");
  begun[0]?.reject(new Error("aborted"));
  assert.equal(await third, "anew");
});
