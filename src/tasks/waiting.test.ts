import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { orderQueue, type QueuedTask } from "./queue.ts";
import { WaitingTasks } from "./waiting.ts";

const taskOf = (id: string, fields: Partial<QueuedTask> = {}): QueuedTask => ({
  ...{ id, priority: 0, createdAtMs: 0, user: undefined, labels: {}, cpus: 1 },
  ...fields,
});

test("whatever comes and goes, the order is that of the queue, and each knows its place", () => {
  const step = fc.record({
    id: fc.integer({ min: 0, max: 30 }).map(String),
    priority: fc.integer({ min: -3, max: 3 }),
    createdAtMs: fc.integer({ min: 0, max: 5 }).map((minutes) => minutes * 60_000),
    isAdded: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const waiting = new WaitingTasks();
      const expected = new Map<string, QueuedTask>();
      for (const { id, priority, createdAtMs, isAdded } of steps) {
        const task = taskOf(id, { priority, createdAtMs });
        if (isAdded) {
          waiting.add(task);
          expected.set(id, task);
        } else {
          waiting.delete(id);
          expected.delete(id);
        }
      }
      const order = orderQueue([...expected.values()]);
      assert.deepEqual(waiting.all, order);
      for (const [index, { id }] of order.entries()) assert.equal(waiting.positionOf(id), index + 1);
      assert.deepEqual([waiting.positionOf("none"), waiting.has("none")], [undefined, false]);
    }),
  );
});

test("who was to have begun by now is late, and the next one has its time", () => {
  const waiting = new WaitingTasks();
  for (const task of [taskOf("no"), taskOf("past", { deadlineAtMs: 10 }), taskOf("next", { deadlineAtMs: 30 })])
    waiting.add(task);
  assert.deepEqual(
    waiting.lateAt(20).late.map(({ id }) => id),
    ["past"],
  );
  assert.equal(waiting.lateAt(20).nextMs, 30);
  waiting.delete("next");
  assert.equal(waiting.lateAt(20).nextMs, Number.POSITIVE_INFINITY);
});
