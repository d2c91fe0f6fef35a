import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Task } from "../../src/contract/task.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hasCode } from "../support/has-code.ts";
import { S3_KEYS, S3_REGION, startS3Server } from "../support/s3-server.ts";
import { waitFor } from "../support/wait-for.ts";

let fixture: DaemonFixture;
let server: Awaited<ReturnType<typeof startS3Server>>;
let front: Awaited<ReturnType<typeof startFront>>;
before(async () => {
  fixture = await startDaemonFixture();
  server = await startS3Server(path.join(fixture.folder, "s3"));
  front = await startFront();
  const lines = [
    "[tasks]",
    'storage = "s3://results/of/tasks"',
    `storage_endpoint = "${front.endpoint}"`,
    `storage_region = "${S3_REGION}"`,
    'storage_keys = { id = "RESULTS_ID", secret = "RESULTS_KEY" }',
  ];
  await writeFile(path.join(fixture.paths.home, "firebreak.toml"), lines.join("\n"));
  const { accessKeyId, secretAccessKey } = S3_KEYS;
  for (const [name, input] of Object.entries({ RESULTS_ID: accessKeyId, RESULTS_KEY: secretAccessKey }))
    assert.equal((await fixture.cli(["secret", "set", name, "--expose", "env"], { input })).exitCode, 0);
});
after(async () => {
  front.close();
  await server.close();
  await fixture.close();
});

test("a task's files go to the bucket of firebreak.toml, are read from there, and go with the task", async () => {
  const script = "mkdir -p /root/output; printf 'a report' > /root/output/report.txt";
  const { stdout } = await fixture.ok("task", "run", "--json", "--", "sh", "-c", script);
  const task = JSON.parse(stdout) as Task;
  assert.equal(task.state, "completed", stdout);
  assert.equal((await fixture.ok("task", "file", task.id, "report.txt")).stdout, "a report");
  const kept = async () => (await readdir(path.join(fixture.folder, "s3", "results"), { recursive: true })).join(" ");
  const name = task.files?.[0]?.digest.slice("sha256:".length) ?? "none";
  assert.match(await kept(), new RegExp(name));
  assert.deepEqual(await readdir(path.join(fixture.paths.home, "tasks", "files")).catch(() => []), []);
  const usage = await fixture.json<{ total: { tasks: number; vmSeconds: number } }>("usage", "--by", "day");
  assert.equal(usage.total.tasks, 1);
  assert.ok(usage.total.vmSeconds > 0);
  await fixture.ok("task", "delete", task.id);
  assert.equal((await kept()).includes(name), false);
});

/** Before the storage: it leaves deletions without an answer as long as it is told to. */
async function startFront() {
  const state = { endpoint: "", isSilent: false, silenced: 0, close: () => {} };
  const between = http.createServer((request, response) => {
    if (state.isSilent && request.method === "DELETE") return void state.silenced++;
    const { port } = new URL(server.endpoint);
    const { method, url: path, headers } = request;
    const onward = http.request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    onward.once("error", () => response.destroy());
    request.pipe(onward);
  });
  between.listen(0, "127.0.0.1");
  await once(between, "listening");
  state.endpoint = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  state.close = () => {
    between.closeAllConnections();
    between.close();
  };
  return state;
}

test("a daemon that is killed while it deletes a task leaves nothing that nobody can delete", async () => {
  const script = "mkdir -p /root/output; echo half > /root/output/half.txt";
  const { stdout } = await fixture.ok("task", "run", "--json", "--", "sh", "-c", script);
  const { id, files } = JSON.parse(stdout) as Task;
  const name = files?.[0]?.digest.slice("sha256:".length) ?? "none";
  const kept = async () => (await readdir(path.join(fixture.folder, "s3", "results"), { recursive: true })).join(" ");
  front.isSilent = true;
  const deletion = fixture.cli(["task", "delete", id]);
  await waitFor(async () => front.silenced > 0);
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  assert.notEqual((await deletion).exitCode, 0);
  front.isSilent = false;
  // What a daemon has left that was killed between the two, or while it fetched files.
  const tasks = path.join(fixture.paths.home, "tasks");
  await mkdir(path.join(tasks, "0123456789ab"));
  await mkdir(path.join(tasks, "files"), { recursive: true });
  await writeFile(path.join(tasks, "files", "a".repeat(64)), "nobody's");
  await fixture.ok("daemon", "start");
  assert.match(await kept(), new RegExp(name));
  await fixture.ok("task", "delete", id);
  assert.equal((await kept()).includes(name), false);
  await assert.rejects(fixture.client.tasks.get(id), hasCode("TASK_NOT_FOUND"));
  await waitFor(async () => (await readdir(tasks, { recursive: true })).every((left) => left === "files"));
});
