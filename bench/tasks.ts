import { writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import type { TaskCreate } from "../src/contract/task.ts";
import type { TaskEvent } from "../src/contract/task-event.ts";
import { type DaemonFixture, startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { limitRow, median, type Row, ratioRow, round } from "./stats.ts";

const MEMORY_MIB = 256;
const TASKS = 100;
const TASK_MS = 1_000;
const MAX_RUNNING = 4;
/** Of what the cap allows: so many tasks of a second, so many at once. */
const MAX_QUEUE_RATIO = 1.15;
const DELAYS = 15;
const MAX_DELAY_MS = 100;
const LINES = 1_000_000;
const FOLLOWERS = 50;
const LINE_ROUNDS = 9;
const MAX_SLOWER = 1.1;
const MAX_GROWTH_MIB = 100;
const WAIT_MS = 600_000;

/** Tasks of the agent `command`, as they come in over the daemon's socket. */
export async function* benchTasks(): AsyncGenerator<Row> {
  const fixture = await startDaemonFixture();
  try {
    await writeFile(path.join(fixture.paths.home, "firebreak.toml"), `[tasks]\nmax_running = ${MAX_RUNNING}\n`);
    // The template, and whatever is loaded with the first task.
    await runToEnd(fixture, ["true"]);
    yield await benchDelay(fixture);
    yield await benchQueue(fixture);
    yield* await benchLines(fixture);
  } finally {
    await fixture.close();
  }
}

const commandTask = (argv: string[]): TaskCreate => ({ agent: "command", argv, memoryMib: MEMORY_MIB });

async function runToEnd({ client }: DaemonFixture, argv: string[]) {
  const { id } = await client.tasks.create(commandTask(argv));
  const task = await client.tasks.wait(id, WAIT_MS);
  if (task.state !== "completed") throw new Error(`task ${id} is ${task.state}: ${task.reason}`);
  return task;
}

/** From the request to the moment at which its VM begins to be made: what the queue itself costs when nothing is in it. */
async function benchDelay(fixture: DaemonFixture): Promise<Row> {
  const samples: number[] = [];
  for (let n = 0; n < DELAYS; n++) {
    const { vmAt, createdAt } = await delaysOf(fixture);
    samples.push(vmAt - createdAt);
  }
  return limitRow({
    what: "a task that nothing waits before: from its request to its turn, p50",
    unit: "ms",
    value: median(samples),
    limit: MAX_DELAY_MS,
    samples,
  });
}

async function delaysOf({ client }: DaemonFixture) {
  const task = await client.tasks.create(commandTask(["true"]));
  const ended = await client.tasks.wait(task.id, WAIT_MS);
  const vms = (await client.events.list({ limit: 1_000 })).events;
  const created = vms.filter(({ kind, vm }) => kind === "created" && vm.startsWith(`task-${ended.id}`))[0];
  return { createdAt: Date.parse(ended.createdAt), vmAt: Date.parse(created?.at ?? "") };
}

async function benchQueue({ client }: DaemonFixture): Promise<Row> {
  const begin = performance.now();
  const tasks = await Promise.all(
    Array.from({ length: TASKS }, () => client.tasks.create(commandTask(["sleep", String(TASK_MS / 1000)]))),
  );
  const ended = await Promise.all(tasks.map(({ id }) => client.tasks.wait(id, WAIT_MS)));
  const ms = performance.now() - begin;
  const failed = ended.filter(({ state }) => state !== "completed").length;
  if (failed > 0) throw new Error(`${failed} tasks did not complete`);
  return ratioRow({
    what: `${TASKS} queued tasks of 1 s, ${MAX_RUNNING} at once`,
    samples: [ms],
    floorSamples: [(TASKS / MAX_RUNNING) * TASK_MS],
    floorIs: "what the cap allows: nothing but their own seconds",
    maxRatio: MAX_QUEUE_RATIO,
  });
}

/** The same task with nobody and with many who follow it, one of whom stops reading, by turns. */
async function benchLines(fixture: DaemonFixture): Promise<Row[]> {
  const alone: number[] = [];
  const followed: number[] = [];
  let growth = 0;
  for (let round = 0; round < LINE_ROUNDS; round++) {
    alone.push(await timeLines(fixture, 0));
    const before = (await fixture.client.status()).rssBytes;
    followed.push(
      await timeLines(fixture, FOLLOWERS, (rss) => {
        growth = Math.max(growth, rss - before);
      }),
    );
  }
  return [
    ratioRow({
      what: `a task that prints 1,000,000 lines, with ${FOLLOWERS} followers, one of whom has stopped reading`,
      samples: followed,
      floorSamples: alone,
      floorIs: "the same task with nobody following",
      maxRatio: MAX_SLOWER,
    }),
    limitRow({
      what: "how much larger the daemon is for it",
      unit: "MiB",
      value: round(growth / 1024 / 1024),
      limit: MAX_GROWTH_MIB,
    }),
  ];
}

async function timeLines(fixture: DaemonFixture, followers: number, onRss: (bytes: number) => void = () => {}) {
  const { client, paths } = fixture;
  const { id } = await client.tasks.create(commandTask(["sh", "-c", `sleep 1; seq 1 ${LINES}`]));
  const stopped = followers > 0 ? openStopped(paths.socket, id) : undefined;
  const counts = Array.from({ length: Math.max(0, followers - 1) }, () => countLines(fixture, id));
  const watch = setInterval(() => void client.status().then(({ rssBytes }) => onRss(rssBytes)), 500);
  try {
    const task = await client.tasks.wait(id, WAIT_MS);
    if (task.state !== "completed") throw new Error(`task ${id} is ${task.state}: ${task.reason}`);
    const missing = (await Promise.all(counts)).filter((count) => count !== LINES);
    if (missing.length > 0) throw new Error(`${missing.length} followers have ${missing[0]} lines of ${LINES}`);
    return Date.parse(task.endedAt ?? "") - Date.parse(task.startedAt ?? "") - 1_000;
  } finally {
    clearInterval(watch);
    stopped?.destroy();
    await client.tasks.delete(id).catch(() => {});
  }
}

async function countLines({ client }: DaemonFixture, id: string): Promise<number> {
  let count = 0;
  for await (const event of client.tasks.events(id, { follow: true })) {
    const { type } = event as TaskEvent;
    if (type === "output") count += (event as { text?: string }).text?.split("\n").length ?? 1;
    // Each text ends with a line's end.
    if (type === "output") count--;
  }
  return count;
}

function openStopped(socketPath: string, id: string): http.ClientRequest {
  const request = http.request({ socketPath, path: `/v1/tasks/${id}/events?follow=true` }, (response) => {
    response.pause();
  });
  request.on("error", () => {});
  request.end();
  return request;
}
