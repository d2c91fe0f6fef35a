import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Secret } from "../../src/contract/secret.ts";
import type { Task } from "../../src/contract/task.ts";
import type { Vm } from "../../src/contract/vm.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openMcpClient } from "../support/mcp-client.ts";
import { examplePng } from "../support/told-agent.ts";
import { waitFor } from "../support/wait-for.ts";

/** What a task may be given besides its work, and what becomes of it. */

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const configure = (...lines: string[]) =>
  writeFile(path.join(fixture.paths.home, "firebreak.toml"), `${["[tasks]", ...lines].join("\n")}\n`);
const detach = async (...args: string[]) => (await fixture.ok("task", "run", "--detach", ...args)).stdout.trim();
const wait = async (id: string) => JSON.parse((await fixture.cli(["task", "wait", id, "--json"])).stdout) as Task;

test("a task has the machine, files, environment, secrets and network that its options say", async () => {
  const file = path.join(fixture.folder, "in put.txt");
  await writeFile(file, "given\n");
  await fixture.cli(["secret", "set", "HOOK", "--host", "hooks.test"], { input: "a-real-value-0123456789" });
  const { placeholder } = await fixture.json<Secret>("secret", "get", "HOOK");
  const script = [
    "pwd; cat '/root/in put.txt' /etc/other.txt; echo $COLOUR $HOOK",
    "mkdir -p /srv/results; echo kept >/srv/results/a.txt",
    "curl -s -m 5 http://denied.test/ || true",
  ].join("; ");
  const options = [
    ...["--name", "all of it", "-m", "384M", "-c", "2", "-d", "3G", "--file", file, "--file", `${file}:/etc/other.txt`],
    ...["-e", "COLOUR=blue", "--secret", "HOOK", "-w", "/srv/work", "--output-dir", "/srv/results"],
    ...["-l", "team=web", "--priority", "7", "--keep-vm", "on-failure", "-t", "5m"],
  ];
  const { exitCode, stdout, stderr } = await fixture.cli([
    "task",
    "run",
    ...options,
    "--",
    "sh",
    "-c",
    `${script}; exit 4`,
  ]);
  assert.equal(exitCode, 4, stderr);
  assert.equal(stdout, `/srv/work\ngiven\ngiven\nblue ${placeholder}\n`);
  const [task] = (await fixture.json<{ tasks: Task[] }>("task", "list", "--label", "team=web")).tasks;
  assert.ok(task);
  const { name, priority, state } = task;
  assert.equal(task.files, undefined, "lists are without them");
  const { files = [] } = await fixture.json<Task>("task", "get", task.id);
  assert.deepEqual([name, priority, state], ["all of it", 7, "failed"]);
  assert.deepEqual(
    files.map((each) => each.path),
    ["a.txt"],
  );
  const results = path.join(fixture.folder, "results");
  await fixture.ok("task", "files", task.id, "--output", results);
  assert.deepEqual(await readdir(results), ["a.txt"]);
  const again = await fixture.cli(["task", "files", task.id, "--output", results]);
  assert.deepEqual([again.exitCode, /a\.txt is there already.*--output/s.test(again.stderr)], [2, true], again.stderr);
  const vm = await fixture.json<Vm>("vm", "get", task.vm?.name ?? "none");
  assert.deepEqual([vm.memoryMib, vm.cpus, vm.diskMib], [384, 2, 3072]);
  const { stdout: log } = await fixture.ok("egress", "log", vm.name);
  assert.match(log, /denied\.test/);
  await fixture.ok("vm", "delete", vm.name);
  const other = await fixture.cli(["task", "run", "-i", "nobodys-image", "--", "true"]);
  assert.deepEqual([other.exitCode, /no image is called "nobodys-image"/.test(other.stderr)], [1, true], other.stderr);
});

test("an image that a task leaves is an image to a model", async () => {
  const png = examplePng();
  const encoded = Buffer.from(png).toString("base64");
  const mcp = await openMcpClient(fixture);
  try {
    const script = `mkdir -p /root/output; echo ${encoded} | base64 -d >/root/output/shot.png; head -c 9 /dev/zero >/root/output/zeros`;
    const { data } = await mcp.call("run_task", { command: ["sh", "-c", script] });
    assert.deepEqual(
      (data.result_files as { path: string; media_type: string }[]).map(({ path, media_type }) => [path, media_type]),
      [
        ["shot.png", "image/png"],
        ["zeros", "application/octet-stream"],
      ],
    );
    const shot = await mcp.call("get_task_file", { task_id: data.task_id, path: "shot.png" });
    assert.deepEqual(shot.content[1], { type: "image", data: encoded, mimeType: "image/png" });
    const zeros = await mcp.call("get_task_file", { task_id: data.task_id, path: "zeros" });
    assert.deepEqual([zeros.data.encoding, zeros.data.content], ["base64", Buffer.alloc(9).toString("base64")]);
  } finally {
    await mcp.close();
  }
});

test("what has not begun by its deadline fails, whether its VM is ready by then or not; the more urgent begin first", async () => {
  await configure("max_running = 1");
  const first = await detach("--", "sh", "-c", "while ! test -e /root/go; do sleep 0.2; done");
  await waitFor(async () => (await fixture.client.tasks.get(first)).state === "running");
  // Of these two are made ready, and the others wait in the queue.
  const late: string[] = [];
  for (let n = 0; n < 4; n++) late.push(await detach("--deadline", "8s", "--", "true"));
  await waitFor(async () => (await fixture.client.tasks.get(late[0] ?? "")).vm !== undefined);
  for (const id of late) {
    const { state, finish, reason, vm } = await wait(id);
    assert.deepEqual([state, finish, vm], ["failed", "timeout", undefined]);
    assert.match(reason ?? "", /^it had not begun by \d{4}-/);
    assert.match((await fixture.ok("task", "logs", id)).stderr, /^timeout: it had not begun by \d{4}-/m);
  }
  const low: string[] = [];
  // Long enough for the urgent one's VM to be ready before the last of them begins: a place stays free for nobody whose VM is not.
  for (let n = 0; n < 3; n++) low.push(await detach("--deadline", "1h", "--", "sleep", "2"));
  const urgent = await detach("--priority", "50", "--", "true");
  await fixture.ok("vm", "exec", `task-${first}-1`, "--", "touch", "/root/go");
  const begun: [string, number][] = [];
  for (const id of [first, ...low, urgent]) {
    const { state, startedAt = "" } = await wait(id);
    assert.equal(state, "completed");
    begun.push([id, Date.parse(startedAt)]);
  }
  const order = begun.sort(([, a], [, b]) => a - b).map(([id]) => id);
  assert.ok(order.indexOf(urgent) < order.indexOf(low[2] ?? ""), JSON.stringify({ order, low, urgent }));
});

test("tasks that have ended are forgotten with their logs and files when their time is over", async () => {
  const id = await detach("--", "sh", "-c", "mkdir -p /root/output; echo only-here >/root/output/a.txt");
  const { keptUntil = "" } = await wait(id);
  assert.ok(Date.parse(keptUntil) > Date.now() + 29 * 24 * 3600_000, keptUntil);
  const names = async () =>
    (await readdir(path.join(fixture.paths.home, "tasks"), { recursive: true })).filter((name) => name.includes(id));
  assert.notEqual((await names()).length, 0);
  await configure('keep = "1s"');
  await fixture.ok("daemon", "stop");
  await fixture.ok("daemon", "start");
  await waitFor(async () => (await fixture.cli(["task", "get", id])).exitCode === 3);
  assert.deepEqual(await names(), []);
  assert.deepEqual(await readdir(path.join(fixture.paths.home, "tasks", "files"), { recursive: true }), []);
  assert.deepEqual(await fixture.client.tasks.list(), []);
  const { total } = await fixture.client.tasks.usage();
  assert.ok(total.tasks > 0, "their usage stays");
});

test("a task that waits for its turn has its emulated machine warmed up meanwhile, and finds no command that is not its own", async () => {
  await configure("max_running = 1");
  const alone = await wait(await detach("--", "sh", "-c", "echo $$"));
  const first = await detach("--", "sh", "-c", "while ! test -e /root/go; do sleep 0.2; done");
  await waitFor(async () => (await fixture.client.tasks.get(first)).state === "running");
  const second = await detach("--keep-vm", "always", "--", "sh", "-c", "echo $$");
  await waitFor(async () => (await fixture.client.tasks.get(second)).vm !== undefined);
  const vm = `task-${second}-1`;
  await waitFor(async () => (await fixture.client.vms.get(vm)).state === "running");
  // Processes are numbered one after another, and forks go on from the same number: one more than we have started ourselves has run.
  const extra = (await fixture.client.vms.get(vm)).accel === "tcg" ? 1 : 0;
  let own = 0;
  await waitFor(async () => {
    const { stdout } = await fixture.ok("vm", "exec", vm, "--", "sh", "-c", "echo $$");
    return Number(stdout) === Number(alone.outputTail) + own++ + extra;
  });
  await fixture.ok("vm", "exec", `task-${first}-1`, "--", "touch", "/root/go");
  const waited = await wait(second);
  assert.equal(Number(waited.outputTail), Number(alone.outputTail) + own + extra);
  assert.doesNotMatch((await fixture.ok("vm", "execs", vm)).stdout, /warm-up/);
  await fixture.ok("vm", "delete", vm);
});
