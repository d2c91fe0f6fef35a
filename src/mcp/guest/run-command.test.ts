import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient, type FakeRun } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** What a call answers where the command does this. */
const run = (fake: FakeRun, args: Record<string, unknown> = { command: "x" }) =>
  caller(createFakeVmClient(["web"], fake))("run_command", { vm: "web", ...args });

test("takes exactly one of command and argv", async () => {
  assert.match((await run({}, {})).text, /exactly one of/);
  assert.match((await run({}, { command: "x", argv: ["x"] })).text, /exactly one of/);
});

test("passes on what it is given", async () => {
  const client = createFakeVmClient();
  await caller(client)("run_command", {
    vm: "web",
    command: "a",
    cwd: "/x",
    env: { A: "1" },
    user: "u",
    stdin: "",
    timeout_ms: 5,
  });
  await caller(client)("run_command", { vm: "web", argv: ["a", "b"] });
  assert.deepEqual(client.world.specs, [
    { argv: ["/bin/sh", "-c", "a"], cwd: "/x", env: { A: "1" }, user: "u", stdin: true, timeoutMs: 5 },
    { argv: ["a", "b"], stdin: false, timeoutMs: 120_000 },
  ]);
});

test("shows stdout as it is and announces stderr", async () => {
  const output = [
    { type: "stdout" as const, bytes: Buffer.from("out\n") },
    { type: "stderr" as const, bytes: Buffer.from("err\n") },
  ];
  const answer = await run({ output, exit: { exitCode: 3 } });
  assert.equal(answer.isError, false);
  assert.equal(answer.text, "[vm web · exit 3 · 12 ms]\nout\n\n[stderr]\nerr\n");
});

test("tells signals and timeouts from exits", async () => {
  const killed = await run({ exit: { exitCode: null, signal: "SIGKILL" } });
  assert.deepEqual([killed.data.status, killed.data.signal], ["signaled", "SIGKILL"]);
  const slow = await run({ exit: { exitCode: null, signal: "SIGTERM", timedOut: true } });
  assert.equal(slow.data.status, "timed_out");
  assert.match(slow.text, /^\[vm web · timed out · /);
});

test("saves long output in the VM, and says when the VM has no room", async () => {
  const output = Array.from({ length: 100 }, () => ({ type: "stdout" as const, bytes: Buffer.alloc(1000, 97) }));
  const client = createFakeVmClient(["web"], { output });
  const answer = await caller(client)("run_command", { vm: "web", command: "x" });
  const cut = answer.data.stdout_cut as { path: string; bytes: number; saved_bytes: number };
  assert.match(cut.path, /^\/var\/tmp\/firebreak\/output\/exec-1-[0-9a-f]{8}\.stdout$/);
  assert.equal(client.world.files.get(cut.path)?.length, 100_000);
  const full = createFakeVmClient(["web"], { output });
  full.world.diskBytes = 80_000;
  const lost = await caller(full)("run_command", { vm: "web", command: "x" });
  assert.equal(lost.isError, false);
  assert.equal((lost.data.stdout_cut as { path?: string }).path, undefined);
  assert.match(lost.text, /could not be saved/);
});

test("hangs up when it is given up", async () => {
  const client = createFakeVmClient(["web"], { isEndless: true });
  const aborter = new AbortController();
  setTimeout(() => aborter.abort(), 10);
  const answer = await caller(client)("run_command", { vm: "web", command: "x" }, aborter.signal);
  assert.equal(answer.data.code, "OPERATION_CANCELED");
  assert.equal(client.world.closedExecs, 1);
});

test("a failure says when the same call may work, and what a command had written", async () => {
  const output = [{ type: "stdout" as const, bytes: Buffer.from("half") }];
  const failure = new FirebreakError("CHANNEL_LOST", "the channel broke");
  const call = caller(createFakeVmClient(["web"], { output, failure }));
  const { data, text } = await call("run_command", { vm: "web", command: "x" });
  assert.deepEqual([data.code, data.retryable, data.retry_after_ms], ["CHANNEL_LOST", true, 1000]);
  assert.deepEqual(data.partial_output, { stdout: "half", stderr: "" });
  assert.match(text, /What it had written/);
});
