import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { SharedLock } from "./shared-lock.ts";

test("many share it at once; one that has it alone waits for those before it, and those after it wait", async () => {
  const lock = new SharedLock();
  const happened: string[] = [];
  const gates = new Map(["a", "b", "c"].map((name) => [name, Promise.withResolvers<void>()]));
  const task = (name: string) => async () => {
    happened.push(`${name} begins`);
    await gates.get(name)?.promise;
    happened.push(`${name} ends`);
  };
  const all = [lock.share(task("a")), lock.share(task("b")), lock.alone(task("c")), lock.share(task("d"))];
  await turn();
  assert.deepEqual(happened.splice(0), ["a begins", "b begins"]);
  gates.get("b")?.resolve();
  await turn();
  assert.deepEqual(happened.splice(0), ["b ends"]);
  gates.get("a")?.resolve();
  await turn();
  assert.deepEqual(happened.splice(0), ["a ends", "c begins"]);
  gates.get("c")?.resolve();
  await Promise.all(all);
  assert.deepEqual(happened, ["c ends", "d begins", "d ends"]);
});

test("a task that fails fails alone", async () => {
  const lock = new SharedLock();
  const fail = async () => {
    throw new Error("no");
  };
  const outcomes = await Promise.allSettled([lock.share(fail), lock.alone(fail), lock.share(async () => "well")]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["rejected", "rejected", "fulfilled"],
  );
});
