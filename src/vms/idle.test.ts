import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleWatch } from "./idle.ts";

function watch(context: { mock: { timers: { enable: (options: { apis: ["setTimeout"] }) => void } } }) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const idle: string[] = [];
  return { idle, watch: new IdleWatch((id) => idle.push(id)) };
}

test("a VM that nobody uses is idle after its timeout, once", (context) => {
  const { idle, watch: watcher } = watch(context as never);
  watcher.watch("a", 1000);
  context.mock.timers.tick(999);
  assert.deepEqual(idle, []);
  context.mock.timers.tick(5000);
  assert.deepEqual(idle, ["a"]);
});

test("the timeout begins when the last of several uses ends", async (context) => {
  const { idle, watch: watcher } = watch(context as never);
  watcher.watch("a", 1000);
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const uses = [watcher.during("a", () => first.promise), watcher.during("a", () => second.promise)];
  context.mock.timers.tick(5000);
  first.resolve();
  await uses[0];
  context.mock.timers.tick(5000);
  assert.deepEqual(idle, []);
  second.reject(new Error("also a failed use ends"));
  await assert.rejects(uses[1] as Promise<void>);
  context.mock.timers.tick(1000);
  assert.deepEqual(idle, ["a"]);
});

test("a use that began before a VM was watched keeps it from being idle", async (context) => {
  const { idle, watch: watcher } = watch(context as never);
  const { promise, resolve } = Promise.withResolvers<void>();
  const use = watcher.during("a", () => promise);
  watcher.watch("a", 1000);
  context.mock.timers.tick(5000);
  assert.deepEqual(idle, []);
  resolve();
  await use;
  context.mock.timers.tick(1000);
  assert.deepEqual(idle, ["a"]);
});

test("a VM that is forgotten is never idle", (context) => {
  const { idle, watch: watcher } = watch(context as never);
  watcher.watch("a", 1000);
  watcher.forget("a");
  watcher.postpone("a");
  context.mock.timers.tick(5000);
  assert.deepEqual(idle, []);
});
