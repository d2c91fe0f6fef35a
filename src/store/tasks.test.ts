import assert from "node:assert/strict";
import { test } from "node:test";
import { taskCreateSchema } from "../contract/task.ts";
import type { TaskRecord } from "../tasks/task-store.ts";
import { openDatabase } from "./database.ts";
import { SqliteTaskStore } from "./tasks.ts";

function open() {
  const store = new SqliteTaskStore(openDatabase(":memory:"));
  const put = (id: string, fields: object = {}, user?: string) => {
    const { files, ...request } = taskCreateSchema.parse({ agent: "command", argv: ["true"], ...fields });
    store.insert({ id, request, state: "queued", user, createdAt: new Date().toISOString(), attempt: 0 }, files);
  };
  const ids = (filter: Parameters<SqliteTaskStore["list"]>[0]) => store.list(filter).map(({ id }) => id);
  return { store, put, ids };
}

test("tasks are found by state, user, agent, labels and what was made before, the newest first", () => {
  const { store, put, ids } = open();
  put("a", { labels: { team: "x", "org/unit": "1" } });
  put("b", { labels: { team: "y" } }, "ann");
  put("c", { agent: "claude", argv: undefined, prompt: "p", labels: { team: "x" } });
  store.update("b", { state: "cancelled" });
  assert.deepEqual(ids({}), ["c", "b", "a"]);
  assert.deepEqual(ids({ states: ["queued"] }), ["c", "a"]);
  assert.deepEqual(ids({ user: "ann" }), ["b"]);
  assert.deepEqual(ids({ agent: "claude" }), ["c"]);
  assert.deepEqual(ids({ labels: ["team=x"] }), ["c", "a"]);
  assert.deepEqual(ids({ labels: ["team=x", "org/unit"] }), ["a"]);
  assert.deepEqual(ids({ before: "c", limit: 1 }), ["b"]);
  for (const label of ['"', "a'b", "$", 'x"].y', "=", "team[0]"]) assert.deepEqual(ids({ labels: [label] }), [], label);
});

test("the files that a task begins with are no part of its record", () => {
  const { store, put } = open();
  put("a", { files: { "/root/x": "content" } });
  assert.deepEqual(store.filesOf("a"), { "/root/x": "content" });
  assert.ok(!JSON.stringify(store.get("a")).includes("content"));
});

test("a list has no more of a task than is shown there", () => {
  const { store, put } = open();
  put("a", {
    argv: ["sh", "-c", "x".repeat(100_000), ...Array<string>(900).fill("é")],
    name: "n",
    labels: { team: "x" },
  });
  put("b", { agent: "claude", argv: undefined, prompt: "é".repeat(60_000) });
  for (const state of ["starting", "running", "collecting"] as const) store.update("a", { state });
  const file = { path: "p".repeat(1_000), mediaType: "text/plain", sizeBytes: 1, digest: "sha256:1" };
  store.update("a", { files: Array(1_000).fill(file), answer: "z".repeat(100_000), outputTail: "t".repeat(4_000) });
  const [second, first] = store.glance();
  assert.deepEqual(first?.request, {
    ...{ agent: "command", name: "n", priority: 0, labels: { team: "x" } },
    argv: ["sh", "-c", "x".repeat(200), ...Array(17).fill("é")],
  });
  assert.equal(second?.request.prompt, "é".repeat(1_000));
  assert.ok(JSON.stringify([first, second]).length < 5_000);
  assert.deepEqual([first?.id, first?.state, second?.state], ["a", "collecting", "queued"]);
  assert.equal(store.get("a")?.files?.length, 1_000);
});

test("those that ended before a time are found, the oldest first", () => {
  const { store, put } = open();
  for (const [index, id] of ["a", "b", "c"].entries()) {
    put(id);
    store.update(id, { state: "cancelled", endedAt: `2026-01-0${index + 1}T00:00:00.000Z` });
  }
  put("d");
  assert.deepEqual(store.endedBefore("2026-01-03T00:00:00.000Z"), ["a", "b"]);
});

test("a task goes through its states in their order, and no end is left", () => {
  const { store, put } = open();
  put("a");
  assert.throws(() => store.update("a", { state: "completed" }), { code: "TASK_STATE_CONFLICT" });
  for (const state of ["starting", "running", "collecting", "completed"] as const) store.update("a", { state });
  assert.throws(() => store.update("a", { state: "queued" }), { code: "TASK_STATE_CONFLICT" });
  assert.throws(() => store.update("none", {}), { code: "TASK_NOT_FOUND" });
});

test("content is in use as long as a file of a task has it", () => {
  const { store, put } = open();
  const file = { path: "f", mediaType: "text/plain", sizeBytes: 1, digest: "sha256:1" };
  for (const id of ["a", "b"]) {
    put(id);
    store.update(id, { files: [file] });
  }
  assert.deepEqual(store.unusedOf(["sha256:1"], "a"), []);
  store.remove("a");
  assert.deepEqual(store.unusedOf(["sha256:1", "sha256:2"]), ["sha256:2"]);
  assert.deepEqual(store.unusedOf(["sha256:1"], "b"), ["sha256:1"]);
  store.remove("b");
  assert.deepEqual(store.unusedOf(["sha256:1", "sha256:1"]), ["sha256:1"]);
});

/** Without its files, which are kept apart. */
function requestOf(fields: object): TaskRecord["request"] {
  const { files: _files, ...request } = taskCreateSchema.parse(fields);
  return request;
}

const record = (id: string, fields: Partial<TaskRecord> = {}): TaskRecord => ({
  id,
  request: requestOf({ agent: "command", argv: ["true"], labels: { team: "x" } }),
  state: "collecting",
  user: "ci",
  createdAt: "2026-01-01T00:00:00.000Z",
  attempt: 1,
  usage: { tokens: [], cost: { usd: 1, source: "reported" }, vmSeconds: 2, memoryMibSeconds: 1024 },
  ...fields,
});
const endedAt = "2026-01-02T00:00:00.000Z";

test("what a task took is counted with its end, once, and stays when it is removed", () => {
  const store = new SqliteTaskStore(openDatabase(":memory:"));
  store.insert(record("a"), {});
  store.update("a", { reason: "still at it" });
  assert.deepEqual([...store.usage({})], []);
  store.update("a", { state: "completed", endedAt });
  store.update("a", { vm: undefined });
  store.remove("a");
  const [entry, ...others] = [...store.usage({})];
  assert.deepEqual(others, []);
  assert.equal(entry?.usage.cost?.usd, 1);
  assert.deepEqual([entry?.user, entry?.labels, entry?.endedAt], ["ci", { team: "x" }, endedAt]);
});

test("from a time on, and before one", () => {
  const store = new SqliteTaskStore(openDatabase(":memory:"));
  store.insert(record("a"), {});
  store.update("a", { state: "failed", endedAt });
  const found = (since?: string, until?: string) => [...store.usage({ since, until })].length;
  assert.equal(found(endedAt), 1);
  assert.equal(found("2026-01-02T00:00:00.001Z"), 0);
  assert.equal(found(undefined, endedAt), 0);
  assert.equal(found(undefined, "2026-01-02T00:00:00.001Z"), 1);
});

test("an end that cannot be counted is none", () => {
  const database = openDatabase(":memory:");
  const store = new SqliteTaskStore(database);
  store.insert(record("a"), {});
  database.exec("DROP TABLE task_usage");
  assert.throws(() => store.update("a", { state: "completed", endedAt }), /task_usage/);
  assert.equal(store.get("a")?.state, "collecting");
});
