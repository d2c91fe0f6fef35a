import assert from "node:assert/strict";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { isEnded, type Task } from "../../src/contract/task.ts";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import type { DaemonFixture } from "./daemon-fixture.ts";
import { waitFor } from "./wait-for.ts";

const BURST = 2_000;
const LINES = BURST + 25;
/** Much at once, which a kill may cut anywhere, and then bit by bit, each task its own lines; a word in front says that it has begun twice. */
const SCRIPT = [
  "test ! -e /root/begun || echo again; touch /root/begun",
  `seq -f "$1-%.0f" 0 ${BURST - 1}`,
  `i=${BURST}; while [ $i -lt ${LINES} ]; do echo $1-$i; i=$((i+1)); sleep 0.05; done`,
  "mkdir -p /root/output; echo of $1 >/root/output/file",
].join("; ");
const wholeOf = (name: string) => Array.from({ length: LINES }, (_, line) => `${name}-${line}\n`).join("");

const inState = (tasks: readonly Task[], ...states: string[]) => tasks.filter(({ state }) => states.includes(state));

/**
 * Kills the daemon again and again under a queue that stays full, and lets the next one go on. Fails unless every task comes to one end, begun once, and
 * its log has all that it has printed. firebreak.toml says how many run. Returns what came to be, in words.
 */
export async function killUnderTasks(
  fixture: DaemonFixture,
  { kills, running, queued }: { kills: number; running: number; queued: number },
): Promise<string> {
  const { client } = fixture;
  const all = () => client.tasks.list({ limit: 500 });
  const made: string[] = [];
  const hit = new Map<string, number>();
  for (let kill = 0; kill < kills; kill++) {
    const waiting = inState(await all(), "queued", "starting").length;
    for (let more = waiting; more < running + queued; more++)
      made.push(
        (await client.tasks.create({ agent: "command", argv: ["sh", "-c", SCRIPT, "sh", `t${made.length}`] })).id,
      );
    await waitFor(async () => inState(await all(), "running", "collecting").length >= running);
    // Not always as soon as that many run: at another moment of theirs each time.
    await sleep((kill * 137) % 700);
    for (const { id } of inState(await all(), "running", "collecting")) hit.set(id, (hit.get(id) ?? 0) + 1);
    process.kill((await client.status()).pid, "SIGKILL");
    await fixture.ok("daemon", "start");
  }
  await waitFor(async () => (await all()).every(({ state }) => isEnded(state)), 600_000);
  assert.equal((await all()).length, made.length);
  for (const [index, id] of made.entries()) await checkWhole(fixture, id, `t${index}`);
  assert.deepEqual(await client.vms.list(), []);
  return `${made.length} tasks, ${hit.size} of them worked when the daemon was killed, one ${Math.max(...hit.values())} times`;
}

async function checkWhole({ client }: DaemonFixture, id: string, name: string): Promise<void> {
  const task = await client.tasks.get(id);
  const events: TaskEvent[] = [];
  for await (const event of client.tasks.events(id)) events.push(event as TaskEvent);
  const said = JSON.stringify([task, events.filter(({ type }) => type !== "output")]);
  assert.deepEqual([task.state, task.exitCode, task.attempt], ["completed", 0, 1], said);
  const files = task.files?.map((file) => file.path);
  assert.deepEqual(files, ["file"], said);
  const text = events.map((event) => (event.type === "output" ? (event.text ?? "") : "")).join("");
  assert.equal(text, wholeOf(name), said);
  assert.equal(await textOf(await client.tasks.readFile(id, "file")), `of ${name}\n`);
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
  assert.equal(events.filter(({ type }) => type === "finished").length, 1, said);
}
