import assert from "node:assert/strict";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openMcpClient } from "../support/mcp-client.ts";
import { openTaskSocket } from "../support/task-socket.ts";
import { waitFor } from "../support/wait-for.ts";

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
      files: { "/src/in.txt": "hello\n" },
      cwd: "/src",
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

test("what its VM waits for is told of meanwhile: a template that is made for the first one of its kind", async () => {
  const told = fixture.cli(["task", "run", "--memory", "333M", "--", "true"]);
  const reasons = new Set<string>();
  let isEnded = false;
  void told.finally(() => {
    isEnded = true;
  });
  while (!isEnded)
    for (const { state, reason } of await fixture.client.tasks.list())
      if (state === "starting" && reason !== undefined) reasons.add(reason);
  const { exitCode, stderr } = await told;
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /task [0-9a-f]{12} is starting: .*template/);
  assert.match(stderr, /^task [0-9a-f]{12}: starting\nrunning$/m);
  assert.ok(
    [...reasons].some((reason) => /template/.test(reason)),
    [...reasons].join(),
  );
  const [task] = await fixture.client.tasks.list();
  assert.equal(task?.reason, undefined);
});

test("one that is cancelled while its VM is made says so, and not what was done for it last", async () => {
  const { id } = await run("true", { memoryMib: 334 });
  await waitFor(async () => /template/.test((await fixture.client.tasks.get(id)).reason ?? ""), 60_000);
  await fixture.ok("task", "cancel", id);
  const { state, reason } = await ended(id);
  assert.deepEqual([state, reason], ["cancelled", "it was cancelled"]);
});

test("the commands say in their own words what is wrong, and what there is as JSON", async () => {
  for (const [args, message] of [
    [["run", "--agent", "command"], /a command is missing.*task run -- make test/s],
    [["run", "--agent", "command", "ls"], /a command stands behind --.*task run -- ls/s],
    [["run", "hello", "--max-turns", "few"], /--max-turns: 'few'/],
    [["run", "--priority", "high", "--", "true"], /--priority: 'high' is not a whole number from -100 to 100/],
    [["run", "--max-cost", "much", "--", "true"], /--max-cost: 'much' is not an amount of US dollars/],
    [["run", "--keep-vm", "maybe", "--", "true"], /--keep-vm: 'maybe' is not one of never, on-failure, always/],
    [["run", "--max-turns", "3", "--", "true"], /the agent 'command' tells of no turns to be counted.*--timeout/s],
    [["run", "--file", "src", "--", "true"], /--file: src is a directory.*--workspace/s],
    [["run", "--driver", "xen", "--", "true"], /--driver: one of auto, qemu, firecracker/],
    [["run", "--accel", "none", "--", "true"], /--accel: one of auto, kvm, tcg/],
    [["run", "--wait", "--detach", "--", "true"], /--wait and --detach cannot both be given/],
    [["run", "--output-dir", "results", "--", "true"], /--output-dir: an absolute path in the VM is wanted/],
    [["run", "--output-dir", "/proc/1", "--", "true"], /--output-dir: an output directory is not \/, and not in/],
    [["run", "-w", "/srv/../etc", "--", "true"], /cwd: an absolute path in the VM is wanted/],
    // What a VM could not be made with is said before it is queued.
    [["run", "--allow", "bad_name", "--", "true"], /--allow: there is no set 'bad_name'/],
    [["list", "--state", "done"], /--state: 'done' is not taken: one of queued, /],
  ] as const) {
    const { exitCode, stderr } = await fixture.cli(["task", ...args]);
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, message);
  }
  const missing = await fixture.cli(["task", "run", "--secret", "NOBODYS", "--", "true"]);
  assert.deepEqual([missing.exitCode, /there is no secret NOBODYS/.test(missing.stderr)], [3, true], missing.stderr);
  assert.equal(
    (await fixture.ok("task", "run", "-w", "/", "--file", "package.json:/tmp/a", "--", "cat", "tmp/a")).stdout[0],
    "{",
  );
  const waited = await fixture.ok("task", "run", "--wait", "--", "sh", "-c", "echo first; echo last");
  assert.equal(waited.stdout, "first\nlast\n");
  assert.equal((await fixture.cli(["task", "run", "--timeout", "1s", "--", "sleep", "60"])).exitCode, 124);
  const { id } = await run("true");
  await ended(id);
  const { tasks } = await fixture.json<{ tasks: { id: string }[] }>("task", "list", "--agent", "command", "-n", "1");
  assert.deepEqual(
    tasks.map((task) => task.id),
    [id],
  );
  assert.match((await fixture.ok("task", "files", id)).stderr, /left no files/);
  const agents = (await fixture.ok("agent", "list")).stdout;
  assert.match(agents, /claude +\S+ +with its first task +not set: ANTHROPIC_API_KEY\n/);
  assert.match(agents, /opencode +.* or 3 others\n/);
  assert.ok(
    agents.split("\n").every((line) => line.length <= 80),
    agents,
  );
  const opencode = (await fixture.ok("agent", "get", "opencode")).stdout;
  assert.match(opencode, /key +ANTHROPIC_API_KEY \(not set\), or OPENAI_API_KEY.*\nreaches +api\.anthropic\.com, /s);
  assert.match((await fixture.cli(["agent", "get", "nobody"])).stderr, /AGENT_NOT_FOUND/);
});

test("one that takes too long is ended, and so is one that is cancelled, with what they had by then", async () => {
  const slow = await run("echo begun; trap '' TERM; while :; do sleep 1; done", { timeoutMs: 2_000 });
  const queued = await run("echo never", { labels: { kind: "held" } });
  const endless = await run("mkdir -p /root/output; echo some >/root/output/part; echo begun; exec sleep 1000");
  for await (const event of fixture.client.tasks.events(endless.id, { follow: true }))
    if ("seq" in event && event.type === "output" && event.text === "begun\n") break;
  await fixture.ok("task", "cancel", endless.id, queued.id);
  const cancelled = await ended(endless.id);
  assert.deepEqual([cancelled.state, cancelled.finish, cancelled.outputTail], ["cancelled", "cancelled", "begun\n"]);
  assert.deepEqual(
    cancelled.files?.map(({ path }) => path),
    ["part"],
  );
  const late = await ended(slow.id);
  assert.deepEqual([late.state, late.finish, late.outputTail], ["failed", "timeout", "begun\n"]);
  assert.match(late.reason ?? "", /more than 2 s/);
  assert.ok(["cancelled", "completed"].includes((await ended(queued.id)).state));
});

test("a daemon that is killed loses no task and no line, and none is done twice", async () => {
  await writeFile(path.join(fixture.paths.home, "firebreak.toml"), "[tasks]\nmax_running = 2\n");
  const script =
    "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; mkdir -p /root/output; date >/root/output/done";
  const tasks = await Promise.all([1, 2, 3, 4, 5].map((n) => run(script, { labels: { n: String(n) } })));
  const followed = eventsAcrossDaemons(tasks[0]?.id as string);
  for (let kill = 0; kill < 3; kill++) {
    await sleep(1_500 + 700 * kill);
    process.kill((await fixture.client.status()).pid, "SIGKILL");
    await fixture.ok("daemon", "start");
  }
  for (const { id } of tasks) {
    const task = await ended(id);
    const events = await eventsOf(id);
    const said = JSON.stringify([task, events.filter(({ type }) => type !== "output")]);
    assert.deepEqual([task.state, task.exitCode, task.attempt], ["completed", 0, 1], said);
    assert.deepEqual(
      task.files?.map((file) => file.path),
      ["done"],
      said,
    );
    assert.equal(outputOf(events), Array.from({ length: 60 }, (_, line) => `line ${line}\n`).join(""));
    assert.equal(events.filter(({ type }) => type === "finished").length, 1);
  }
  const seen = await followed;
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    seen.map((_, index) => index + 1),
  );
  assert.deepEqual(seen, await eventsOf(tasks[0]?.id as string));
  assert.deepEqual(await fixture.client.vms.list(), []);
});

test("events come over WebSocket, to callers with a key, on either way in", async () => {
  const { id } = await run("echo one; sleep 1; echo two");
  const { key } = await fixture.json<{ key: string }>("key", "create", "watcher");
  const { url = "" } = await fixture.client.listen({ address: "127.0.0.1:0" });
  const tcp = `${url.replace("http:", "ws:")}/v1/tasks/${id}/events`;
  await assert.rejects(openTaskSocket(tcp), { status: 401 });
  const headers = { authorization: `Bearer ${key}` };
  const opened = await Promise.all([
    openTaskSocket(tcp, { headers }),
    openTaskSocket(`ws+unix://${fixture.paths.socket}:/v1/tasks/${id}/events`),
  ]);
  for (const socket of opened) {
    assert.equal(await socket.closed(), 1000);
    assert.deepEqual(socket.events, await eventsOf(id));
    assert.equal(outputOf(socket.events), "one\ntwo\n");
  }
  await fixture.client.unlisten();
});

test("a VM that is killed is a failure of the machine: the task begins again, once", async () => {
  const { id } = await run("echo begun; exec sleep 4", { maxRetries: 1 });
  const killVmm = async (attempt: number) => {
    for await (const event of fixture.client.tasks.events(id, { follow: true }))
      if ("seq" in event && event.type === "state" && event.state === "running" && event.attempt === attempt) break;
    const vm = (await fixture.client.vms.list()).find(({ labels }) => labels["firebreak/task"] === id);
    process.kill(vm?.pid as number, "SIGKILL");
  };
  await killVmm(1);
  await killVmm(2);
  const task = await ended(id);
  assert.deepEqual([task.state, task.finish, task.attempt, task.error?.code], ["failed", "lost", 2, "TASK_LOST"]);
  assert.deepEqual(await fixture.client.vms.list(), []);
});

test("an MCP client runs a task, hears how it goes, and reads its file", async () => {
  const mcp = await openMcpClient(fixture);
  try {
    const heard: string[] = [];
    const { data, text } = await mcp.call(
      "run_task",
      { command: ["sh", "-c", "echo $((6*7)); mkdir -p /root/output; echo kept >/root/output/a.txt; sleep 6"] },
      { onprogress: ({ message = "" }) => void heard.push(message) },
    );
    assert.deepEqual([data.status, data.exit_code, data.output], ["completed", 0, "42\n"], text);
    assert.ok(
      heard.some((message) => /is running/.test(message)),
      heard.join("; "),
    );
    const file = await mcp.call("get_task_file", { task_id: data.task_id, path: "a.txt" });
    assert.equal(file.data.content, "kept\n");
    const directory = await mkdtemp(path.join(fixture.folder, "mcp-workspace-"));
    await writeFile(path.join(directory, "a"), "mine\n");
    const worked = await mcp.call("run_task", { command: ["sh", "-c", "tr a-z A-Z <a >b"], workspace_dir: directory });
    assert.equal(worked.data.status, "completed", worked.text);
    assert.equal(await readFile(path.join(directory, "b"), "utf8"), "MINE\n");
  } finally {
    await mcp.close();
  }
});

test("a task on a directory of this host ends when its VM is lost, and is nobody's from elsewhere to repeat", async () => {
  const directory = await mkdtemp(path.join(fixture.folder, "workspace-"));
  await writeFile(path.join(directory, "a"), "mine\n");
  const { id } = await run("echo begun; exec sleep 1000", { workspace: { directory }, maxRetries: 0 });
  for await (const event of fixture.client.tasks.events(id, { follow: true }))
    if ("seq" in event && event.type === "output") break;
  const vm = (await fixture.client.vms.list()).find(({ labels }) => labels["firebreak/task"] === id);
  process.kill(vm?.pid as number, "SIGKILL");
  const task = await ended(id);
  assert.deepEqual([task.state, task.finish], ["failed", "lost"], JSON.stringify(task));
  const { key } = await fixture.json<{ key: string }>("key", "create", "elsewhere");
  await fixture.client.listen({ address: "127.0.0.1:0" });
  const base = (await fixture.client.status()).listen?.url;
  const answer = await fetch(new URL(`/v1/tasks/${id}/retry`, base), {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: "{}",
  });
  const { error } = (await answer.json()) as { error: { code: string } };
  assert.deepEqual([answer.status, error.code], [403, "LOCAL_CALLERS_ONLY"]);
  // What it had changed had no way back; it is given up here.
  for (const { name } of await fixture.client.vms.list()) {
    await fixture.cli(["workspace", "detach", name]);
    await fixture.ok("vm", "delete", name);
  }
});

/** Follows as a client does that lives longer than the daemon: from the number behind the last one on. */
async function eventsAcrossDaemons(id: string): Promise<TaskEvent[]> {
  const events: TaskEvent[] = [];
  while (events.at(-1)?.type !== "finished") {
    try {
      for await (const event of fixture.client.tasks.events(id, { from: events.length + 1, follow: true }))
        events.push(event as TaskEvent);
    } catch {
      await sleep(100);
    }
  }
  return events;
}
