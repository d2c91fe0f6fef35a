import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";

test("a task that is waited for comes back with what it has come to", async () => {
  const call = caller(createFakeVmClient());
  const { data } = await call("run_task", { command: ["make", "test"] });
  assert.deepEqual(
    [data.status, data.exit_code, data.agent, data.output, data.duration_seconds],
    ["completed", 0, "command", "done\n", 1],
  );
  assert.deepEqual(data.result_files, [{ path: "out.txt", media_type: "text/plain", size_bytes: 11 }]);
  const file = await call("get_task_file", { task_id: data.task_id, path: "out.txt" });
  assert.deepEqual([file.data.encoding, file.data.content], ["text", "the result\n"]);
  assert.equal((await call("get_task_file", { task_id: data.task_id, path: "none" })).data.code, "TASK_FILE_NOT_FOUND");
});

test("one that is not waited for is looked at, listed, cancelled, run again and forgotten by its id", async () => {
  const call = caller(createFakeVmClient());
  const { data } = await call("run_task", { prompt: "hello", wait: false });
  assert.deepEqual([data.status, data.task_id, data.agent], ["running", "t1", "claude"]);
  assert.equal((await call("get_task_status", { task_id: "t1" })).data.status, "running");
  assert.equal((await call("cancel_task", { task_id: "t1" })).data.status, "cancelled");
  assert.equal((await call("retry_task", { task_id: "t1" })).data.task_id, "t2");
  const listed = (await call("list_tasks", { status: ["running"] })).data.tasks as { task_id: string }[];
  assert.deepEqual(
    listed.map(({ task_id }) => task_id),
    ["t2"],
  );
  assert.equal((await call("delete_task", { task_id: "t1" })).data.code, "CONFIRMATION_REQUIRED");
  const preview = (await call("delete_task", { task_id: "t1", preview: true })).data.preview as {
    confirm_token: string;
  };
  assert.equal((await call("delete_task", { task_id: "t1", confirm_token: preview.confirm_token })).data.deleted, true);
  assert.equal((await call("get_task_status", { task_id: "t1" })).data.code, "TASK_NOT_FOUND");
});

test("a task's events come in pages", async () => {
  const call = caller(createFakeVmClient());
  await call("run_task", { prompt: "hello", wait: false });
  const first = await call("get_task_log", { task_id: "t1", limit: 3 });
  assert.deepEqual([(first.data.events as unknown[]).length, first.data.next_from], [3, 4]);
  const rest = await call("get_task_log", { task_id: "t1", from: 4 });
  assert.deepEqual([(rest.data.events as unknown[]).length, rest.data.next_from], [2, undefined]);
});

test("a task without a prompt, and one with a command for an agent, are refused", async () => {
  const call = caller(createFakeVmClient());
  assert.equal((await call("run_task", {})).isError, true);
  assert.equal((await call("run_task", { prompt: "x", command: ["y"], agent: "command" })).isError, true);
});

test("a task's VM has the VMM and the accelerator that are asked for, and no others than there are", async (t) => {
  const client = createFakeVmClient();
  const create = t.mock.method(client.tasks, "create");
  const call = caller(client);
  await call("run_task", { command: ["true"], driver: "firecracker", accel: "kvm" });
  await call("run_task", { command: ["true"] });
  assert.deepEqual(
    create.mock.calls.map(({ arguments: [request] }) => [request.driver, request.accel]),
    [
      ["firecracker", "kvm"],
      [undefined, undefined],
    ],
  );
  for (const wrong of [{ driver: "vmware" }, { accel: "hax" }])
    assert.equal((await call("run_task", { command: ["true"], ...wrong })).data.code, "INVALID_ARGUMENT");
});

test("a task has the size and the place to work in that it is given", async (t) => {
  const client = createFakeVmClient();
  const create = t.mock.method(client.tasks, "create");
  const call = caller(client);
  await call("run_task", { prompt: "x", disk_mib: 4096, workspace_dir: "/src/project" });
  await call("run_task", { prompt: "x", git_url: "https://example.com/a.git", git_ref: "v1" });
  assert.deepEqual(
    create.mock.calls.map(({ arguments: [request] }) => [request.diskMib, request.workspace]),
    [
      [4096, { directory: "/src/project" }],
      [undefined, { git: "https://example.com/a.git", ref: "v1" }],
    ],
  );
  for (const wrong of [
    { workspace_dir: "/src", git_url: "https://example.com/a.git" },
    { git_ref: "v1" },
    { workspace_dir: "src" },
  ])
    assert.equal((await call("run_task", { prompt: "x", ...wrong })).isError, true, JSON.stringify(wrong));
  assert.equal(create.mock.callCount(), 2);
});

test("what tasks took is summed by what is asked for", async () => {
  const call = caller(createFakeVmClient());
  assert.match((await call("get_task_usage", {})).text, /No task has ended/);
  await call("run_task", { prompt: "hello" });
  const { data, text } = await call("get_task_usage", { by: "label:team", since: "2026-01-01T00:00:00Z" });
  assert.deepEqual([data.by, (data.total as { cost_usd: number }).cost_usd], ["label:team", 0.5]);
  assert.match(text, /claude: 1 tasks, 0\.5000 USD, 100 tokens in, 20 out, 2 s of VMs/);
  assert.equal((await call("get_task_usage", { by: "colour" })).data.code, "INVALID_ARGUMENT");
});

test("thousands of files that a task has left are told of a page at a time", async (t) => {
  const client = createFakeVmClient();
  const file = (index: number) => ({ path: `f${index}`, mediaType: "text/plain", sizeBytes: 1, digest: "sha256:0" });
  const files = Array.from({ length: 450 }, (_, index) => file(index));
  const call = caller(client);
  const { data } = await call("run_task", { prompt: "x" });
  const task_id = data.task_id as string;
  const task = await client.tasks.get(task_id);
  t.mock.method(client.tasks, "get", async () => ({ ...task, files }));
  t.mock.method(client.tasks, "files", async () => files);
  const status = await call("get_task_status", { task_id });
  assert.deepEqual([(status.data.result_files as unknown[]).length, status.data.more_files], [50, 400]);
  const names: string[] = [];
  for (let offset: unknown = 0; offset !== undefined; ) {
    const page = await call("list_task_files", { task_id, offset });
    names.push(...(page.data.files as { path: string }[]).map(({ path }) => path));
    assert.ok((page.data.files as unknown[]).length <= 200);
    offset = page.data.next_offset;
  }
  assert.deepEqual(
    names,
    files.map(({ path }) => path),
  );
});
