import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "../../test/support/has-code.ts";
import { Turns } from "./turns.ts";

test("no more than so many have a turn, in order of arrival", async () => {
  const turns = new Turns(2, 60_000);
  const order: number[] = [];
  let [now, most] = [0, 0];
  await Promise.all(
    [0, 1, 2, 3, 4].map(async (index) => {
      const end = await turns.take();
      order.push(index);
      most = Math.max(most, ++now);
      await sleep(5);
      now--;
      end();
      end();
    }),
  );
  assert.deepEqual([order, most], [[0, 1, 2, 3, 4], 2]);
});

test("a turn that lasts too long is not waited for", async () => {
  const turns = new Turns(1, 5);
  const slow = await turns.take();
  const [next, last] = [await turns.take(), turns.take()];
  slow(); // has lost it already: it does not end the next one's
  next();
  (await last)();
});

test("who gives up has no turn, and takes none from others", async () => {
  const turns = new Turns(1, 60_000);
  const end = await turns.take();
  const giveUp = new AbortController();
  const [givenUp, next] = [turns.take(giveUp.signal), turns.take()];
  giveUp.abort();
  await assert.rejects(givenUp, hasCode("OPERATION_CANCELED"));
  end();
  (await next)();
});
