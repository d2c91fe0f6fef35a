import assert from "node:assert/strict";
import { test } from "node:test";
import { AGEING_MS, chooseNext, chooseWorking, orderQueue, type QueuedTask } from "./queue.ts";

const task = (id: string, fields: Partial<QueuedTask> = {}): QueuedTask => ({
  id,
  priority: 0,
  createdAtMs: 0,
  user: undefined,
  labels: {},
  cpus: 1,
  ...fields,
});
const ids = (tasks: readonly QueuedTask[]) => tasks.map(({ id }) => id).join(" ");
const OPEN = { maxRunning: 10, maxCpus: 100, maxPerUser: undefined, maxPerLabel: {} };

test("what is more urgent comes first, and of equals who came first", () => {
  const queue = [
    task("c", { createdAtMs: 3 }),
    task("a", { createdAtMs: 1 }),
    task("b", { createdAtMs: 2, priority: 1 }),
  ];
  assert.equal(ids(orderQueue(queue)), "b a c");
});

test("who has waited long comes before what is more urgent and new", () => {
  const old = task("old");
  assert.equal(ids(orderQueue([task("new", { priority: 5, createdAtMs: 4 * AGEING_MS }), old])), "new old");
  assert.equal(ids(orderQueue([task("new", { priority: 5, createdAtMs: 6 * AGEING_MS }), old])), "old new");
});

test("a cap of a user or a label lets others pass", () => {
  const queue = [
    task("a1", { user: "ann", createdAtMs: 1 }),
    task("a2", { user: "ann", createdAtMs: 2 }),
    task("b1", { user: "bob", createdAtMs: 3 }),
    task("host", { createdAtMs: 4 }),
  ];
  assert.equal(ids(chooseNext(queue, [], { ...OPEN, maxPerUser: 1 }, 10)), "a1 b1 host");
  assert.equal(ids(chooseNext(queue, [task("a0", { user: "ann" })], { ...OPEN, maxPerUser: 1 }, 10)), "b1 host");
  const labelled = [
    task("x1", { labels: { team: "x" }, createdAtMs: 1 }),
    task("x2", { labels: { team: "x" }, createdAtMs: 2 }),
    task("y1", { labels: { team: "y" }, createdAtMs: 3 }),
    task("y2", { labels: { team: "y" }, createdAtMs: 4 }),
  ];
  assert.equal(ids(chooseNext(labelled, [], { ...OPEN, maxPerLabel: { team: 1 } }, 10)), "x1 y1");
  assert.equal(ids(chooseNext(labelled, [], { ...OPEN, maxPerLabel: { "team=x": 1 } }, 10)), "x1 y1 y2");
  assert.equal(ids(chooseNext(labelled, [], { ...OPEN, maxPerLabel: { "team=x": 0 } }, 10)), "y1 y2");
});

test("no more begin than there are places", () => {
  const queue = Array.from({ length: 5 }, (_, index) => task(`t${index}`, { createdAtMs: index }));
  assert.equal(ids(chooseNext(queue, [], OPEN, 2)), "t0 t1");
  assert.equal(ids(chooseNext(queue, [], OPEN, 0)), "");
});

test("what works has no more CPUs than there are for it; who wants more waits, with what is behind, and works alone", () => {
  const wide = task("wide", { cpus: 4, createdAtMs: 1 });
  const small = task("small", { createdAtMs: 2 });
  const caps = { maxRunning: 10, maxCpus: 4 };
  assert.equal(ids(chooseWorking([small, wide], [], caps)), "wide");
  assert.equal(ids(chooseWorking([small, wide], [task("a")], caps)), "");
  assert.equal(ids(chooseWorking([small], [task("a", { cpus: 3 })], caps)), "small");
  assert.equal(ids(chooseWorking([task("all", { cpus: 16 }), small], [], caps)), "all");
  const [a, b] = [task("a", { createdAtMs: 3 }), task("b", { createdAtMs: 4 })];
  assert.equal(ids(chooseWorking([b, a, small], [], { ...caps, maxRunning: 2 })), "small a");
});

test("no more VMs are made ready of tasks with many CPUs than of small ones", () => {
  const queue = Array.from({ length: 5 }, (_, index) => task(`t${index}`, { cpus: 4, createdAtMs: index }));
  assert.equal(ids(chooseNext(queue, [], { ...OPEN, maxCpus: 4 }, 10)), "t0 t1");
  assert.equal(ids(chooseNext(queue, [task("a")], { ...OPEN, maxCpus: 4 }, 10)), "t0 t1");
  assert.equal(ids(chooseNext(queue, [task("a", { cpus: 6 })], { ...OPEN, maxCpus: 4 }, 10)), "");
});
