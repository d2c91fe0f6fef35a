import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Task } from "../../src/contract/task.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { S3_KEYS, S3_REGION, startS3Server } from "../support/s3-server.ts";

let fixture: DaemonFixture;
let server: Awaited<ReturnType<typeof startS3Server>>;
before(async () => {
  fixture = await startDaemonFixture();
  server = await startS3Server(path.join(fixture.folder, "s3"));
  const lines = [
    "[tasks]",
    'storage = "s3://results/of/tasks"',
    `storage_endpoint = "${server.endpoint}"`,
    `storage_region = "${S3_REGION}"`,
    'storage_keys = { id = "RESULTS_ID", secret = "RESULTS_KEY" }',
  ];
  await writeFile(path.join(fixture.paths.home, "firebreak.toml"), lines.join("\n"));
  const { accessKeyId, secretAccessKey } = S3_KEYS;
  for (const [name, input] of Object.entries({ RESULTS_ID: accessKeyId, RESULTS_KEY: secretAccessKey }))
    assert.equal((await fixture.cli(["secret", "set", name, "--expose", "env"], { input })).exitCode, 0);
});
after(async () => {
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
