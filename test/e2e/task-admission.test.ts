import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isEnded, type Task, type TaskCreate } from "../../src/contract/task.ts";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { readHostMemory } from "../../src/platform/host-memory.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

/** More tasks than this host can do at once, by its memory and by what it has of processors. */

const TASKS = 20;
/** So many of them, or fewer, fit into the host's memory at once. */
const FIT = 4;

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());
afterEach(() => writeFileSync(path.join(fixture.paths.home, "firebreak.toml"), ""));

const configure = (toml: string) => writeFileSync(path.join(fixture.paths.home, "firebreak.toml"), toml);
const create = (request: Partial<TaskCreate>) =>
  fixture.client.tasks.create({ agent: "command", argv: ["sleep", "1"], ...request });

/** All tasks as they are, again and again, until these have ended. */
async function* looks(ids: readonly string[]): AsyncGenerator<Task[]> {
  for (;;) {
    const all = (await fixture.client.tasks.list({ limit: 100 })).filter(({ id }) => ids.includes(id));
    yield all;
    if (all.every(({ state }) => isEnded(state))) return;
    await delay(200);
  }
}

test("twenty tasks of which few fit into the host's memory wait for it, and none fails", async () => {
  configure(`[vms]\nmemory_overcommit = 1\n[tasks]\nmax_running = ${TASKS}\n`);
  const memoryMib = Math.floor(readHostMemory().freeMib / FIT);
  const tasks = await Promise.all(Array.from({ length: TASKS }, () => create({ memoryMib })));
  const reasons = new Set<string>();
  let [most, ended]: [number, Task[]] = [0, []];
  for await (const all of looks(tasks.map(({ id }) => id))) {
    for (const { reason } of all) if (reason !== undefined) reasons.add(reason);
    most = Math.max(most, all.filter(({ state }) => state === "running").length);
    ended = all;
  }
  for (const { state, attempt, reason } of ended) assert.deepEqual([state, attempt], ["completed", 1], reason);
  assert.equal(ended.length, TASKS);
  // Others on this host may take memory meanwhile, or give some back.
  assert.ok(most >= 2 && most <= 2 * FIT, `${most} at once`);
  const waited = [...reasons].filter((reason) => /^it waits: the VM wants \d+ MiB; \d+ MiB of the host's/.test(reason));
  assert.ok(waited.length > 0, [...reasons].join("\n"));
});

test("tasks work as far as there are processors for them, and one that wants more works alone", async () => {
  configure("[tasks]\nmax_running = 4\nmax_cpus = 2\n");
  const cpusOf = new Map<string, number>();
  for (const cpus of [1, 1, 1, 2, 4]) cpusOf.set((await create({ cpus })).id, cpus);
  for await (const _ of looks([...cpusOf.keys()]));
  const edges: { at: number; id: string; begins: boolean }[] = [];
  for (const id of cpusOf.keys()) {
    assert.equal((await fixture.client.tasks.get(id)).state, "completed");
    for await (const event of fixture.client.tasks.events(id) as AsyncGenerator<TaskEvent>)
      if (event.type === "state" && (event.state === "running" || event.state === "collecting"))
        edges.push({ at: Date.parse(event.at), id, begins: event.state === "running" });
  }
  const working = new Set<string>();
  for (const { id, begins } of edges.sort((a, b) => a.at - b.at || Number(a.begins) - Number(b.begins))) {
    if (begins) working.add(id);
    else working.delete(id);
    const cpus = [...working].reduce((sum, each) => sum + (cpusOf.get(each) ?? 0), 0);
    assert.ok(working.size <= 1 || cpus <= 2, JSON.stringify([...working].map((each) => cpusOf.get(each))));
  }
  assert.equal(edges.length, 10);
});
