import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Coalesced } from "./coalesce.ts";

test("what is asked for all the time is done now and then, and at last once more", async () => {
  let asked = 0;
  const seen: number[] = [];
  const coalesced = new Coalesced(async () => {
    seen.push(asked);
    throw new Error("is not told");
  }, 20);
  for (; asked < 1_000; asked++) coalesced.ask();
  while (seen.at(-1) !== 1_000) await sleep(1);
  assert.deepEqual(seen, [0, 1_000]);
});
