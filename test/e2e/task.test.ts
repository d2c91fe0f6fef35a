import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const run = (script: string, fields: object = {}) =>
  fixture.client.tasks.create({ agent: "command", argv: ["/bin/sh", "-c", script], ...fields });
const ended = (id: string) => fixture.client.tasks.wait(id, 120_000);

async function eventsOf(id: string, from = 1): Promise<TaskEvent[]> {
  const events: TaskEvent[] = [];
  for await (const event of fixture.client.tasks.events(id, { from, follow: true })) events.push(event as TaskEvent);
  return events;
}
const outputOf = (events: TaskEvent[]) =>
  events.map((event) => (event.type === "output" && event.stream === "stdout" ? (event.text ?? "") : "")).join("");

test("a command runs in a VM of its own; its output, its exit code and its files come back, and the VM goes", async () => {
  const { id } = await run(
    "cat in.txt; echo done >&2; mkdir -p /root/output/deep; cp in.txt /root/output/deep/copy.txt; exit 3",
    {
      files: { "/work/in.txt": "hello\n" },
      cwd: "/work",
    },
  );
  const events = await eventsOf(id);
  const task = await ended(id);
  assert.deepEqual([task.state, task.finish, task.exitCode], ["failed", "failed", 3]);
  assert.equal(task.outputTail, "hello\ndone\n");
  assert.deepEqual(
    task.files?.map(({ path, sizeBytes, mediaType }) => [path, sizeBytes, mediaType]),
    [["deep/copy.txt", 6, "text/plain"]],
  );
  assert.equal(await text(await fixture.client.tasks.readFile(id, "deep/copy.txt")), "hello\n");
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  );
  assert.equal(outputOf(events), "hello\n");
  assert.equal(events.at(-1)?.type, "finished");
  assert.ok((task.usage?.vmSeconds ?? 0) > 0);
  assert.deepEqual(await fixture.client.vms.list(), []);
});
