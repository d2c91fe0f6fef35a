import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { identifyProcess } from "../platform/process.ts";
import { heldLocks, withLock } from "./lock.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
});
after(() => rm(folder, { recursive: true }));

test("holders come one after another and leave no file", async () => {
  const file = path.join(folder, "one.lock");
  let inside = 0;
  let most = 0;
  const use = async () => {
    inside++;
    most = Math.max(most, inside);
    await delay(5);
    inside--;
  };
  await Promise.all(Array.from({ length: 8 }, () => withLock(file, { pollMs: 2 }, use)));
  assert.equal(most, 1);
  assert.deepEqual(await readdir(folder), []);
});

test("the lock of a process that has died is taken over", async () => {
  const file = path.join(folder, "dead.lock");
  const self = await identifyProcess(process.pid);
  // Our own pid with another start time: the pid was reused.
  for (const stale of [
    { ...self, startTicks: 1, nonce: "x" },
    { ...self, bootId: "other", nonce: "x" },
  ]) {
    await writeFile(file, JSON.stringify(stale));
    assert.equal(await withLock(file, {}, async () => "taken"), "taken");
  }
});

test("a lock that cannot be read is stale", async () => {
  const file = path.join(folder, "torn.lock");
  for (const content of ["", "{", "null", '{"pid":1}']) {
    await writeFile(file, content);
    assert.equal(await withLock(file, {}, async () => "taken"), "taken");
  }
});

test("many takers of one stale lock still come one after another", async () => {
  const file = path.join(folder, "race.lock");
  await writeFile(file, "{}");
  let inside = 0;
  let most = 0;
  const use = async () => {
    most = Math.max(most, ++inside);
    await delay(2);
    inside--;
  };
  await Promise.all(Array.from({ length: 12 }, () => withLock(file, { pollMs: 1 }, use)));
  assert.equal(most, 1);
});

test("a live holder is waited for, told once, and the wait can be given up", async () => {
  const file = path.join(folder, "live.lock");
  const told: number[] = [];
  await withLock(file, {}, async () => {
    const waiting = withLock(
      file,
      { pollMs: 2, onWait: (pid) => told.push(pid), signal: AbortSignal.timeout(40) },
      async () => "never",
    );
    await assert.rejects(waiting);
    assert.match(await readFile(file, "utf8"), /"pid"/);
  });
  assert.deepEqual(told, [process.pid]);
});

test("a failure inside releases the lock", async () => {
  const file = path.join(folder, "throw.lock");
  await assert.rejects(
    withLock(file, {}, async () => {
      throw new Error("inside");
    }),
    /inside/,
  );
  assert.equal(await withLock(file, {}, async () => "free"), "free");
});

test("the locks that are held are told by name, and those of the dead and of the store are not", async () => {
  const own = await mkdtemp(path.join(folder, "held-"));
  const lock = (name: string) => path.join(own, `${name}.lock`);
  const self = await identifyProcess(process.pid);
  await writeFile(lock("dead"), JSON.stringify({ ...self, startTicks: 1, nonce: "x" }));
  const within = () => heldLocks(own);
  const held = await withLock(lock("debian"), {}, () => withLock(lock(".store"), {}, within));
  assert.deepEqual(held, ["debian"]);
  assert.deepEqual(await heldLocks(path.join(own, "none")), []);
});
