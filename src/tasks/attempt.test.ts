import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TaskEvent } from "../contract/task-event.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { ExecExit } from "../guest/protocol.ts";
import { command } from "./agents/command.ts";
import { opencode } from "./agents/opencode.ts";
import { Attempt, type AttemptOptions } from "./attempt.ts";
import { TaskLog } from "./log/task-log.ts";
import type { OutputSink } from "./machine.ts";
import { OutputTail } from "./tail.ts";

let folder: string;
let count = 0;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-attempt-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const exited = (exitCode: number): ExecExit =>
  ({ exitCode, signal: null, timedOut: false, outputBytes: 0, durationMs: 1 }) as ExecExit;

type Follow = (sink: OutputSink, signal: AbortSignal, killed: Promise<void>) => Promise<ExecExit>;

async function open(
  follow: Follow,
  given: Partial<AttemptOptions> & { answersKill?: boolean; unknownFor?: number } = {},
) {
  const { answersKill = true, unknownFor = 0, ...options } = given;
  let unknown = unknownFor;
  const log = await TaskLog.open(path.join(folder, `${++count}`, "events.jsonl"));
  const killed = Promise.withResolvers<void>();
  const told: string[] = [];
  const machines: AttemptOptions["machines"] = {
    follow: (_vm, _id, _launch, sink, { signal }) => follow(sink, signal, killed.promise),
    kill: async () => {
      if (--unknown >= 0) return "none";
      if (answersKill) killed.resolve();
      return answersKill ? "told" : "silent";
    },
  };
  const attempt = new Attempt({
    vm: "vm",
    execId: "task-1",
    isNew: true,
    launch: async () => ({ argv: ["x"], env: {}, files: {}, cwd: "/" }),
    agent: command,
    log,
    tail: new OutputTail(),
    machines,
    startedAtMs: Date.now(),
    timeoutMs: 60_000,
    maxCostUsd: undefined,
    costOf: () => undefined,
    reader: undefined,
    onError: (message) => void told.push(message),
    ...options,
  });
  return { attempt, log, told };
}

async function outputOf(log: TaskLog): Promise<string> {
  let text = "";
  for await (const piece of log.read(1))
    for (const line of piece.toString().trimEnd().split("\n")) {
      const event = JSON.parse(line) as TaskEvent;
      if (event.type === "output") text += event.text ?? "";
    }
  return text;
}

test("a full disk holds the command up, and costs nothing of its output", async () => {
  const { attempt, log, told } = await open(async (sink) => {
    for (const text of ["one\n", "two\n", "thr", "ee\n"]) await sink.onOutput("stdout", Buffer.from(text));
    return exited(0);
  });
  const append = log.append.bind(log);
  let failures = 2;
  log.append = async (...parameters) => {
    if (failures-- > 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    return append(...parameters);
  };
  assert.deepEqual((await attempt.run()).reason, "completed");
  assert.equal(await outputOf(log), "one\ntwo\nthree\n");
  assert.deepEqual(told, ["a task waits: the host's disk is full"]);
  assert.equal(log.position.offset, 14);
  await log.close();
});

test("what ends it is told, and not what its command makes of that", async () => {
  for (const [reason, given] of [
    ["timeout", { timeoutMs: 50 }],
    ["cancelled", {}],
  ] as const) {
    const { attempt, log } = await open(async (_sink, _signal, killed) => {
      await killed;
      return exited(0);
    }, given);
    if (reason === "cancelled") setTimeout(() => attempt.end("cancelled", "it was cancelled"), 10);
    assert.equal((await attempt.run()).reason, reason);
    await log.close();
  }
});

test("an agent that takes more turns than it may is ended by its limit", async () => {
  const step = (type: string) => Buffer.from(`${JSON.stringify({ type, part: {} })}\n`);
  for (const [maxTurns, reason] of [
    [2, "budget"],
    [3, "completed"],
    [undefined, "completed"],
  ] as const) {
    const reader = opencode.createReader?.();
    const { attempt, log } = await open(
      async (sink, _signal, killed) => {
        for (let turn = 1; turn <= 3; turn++) await sink.onOutput("stdout", step("step_start"));
        if (reason === "budget") await killed;
        return exited(0);
      },
      { agent: opencode, reader, maxTurns },
    );
    const end = await attempt.run();
    assert.equal(end.reason, reason);
    if (reason === "budget") assert.equal(end.message, "it has taken 2 turns, and may take no more");
    await log.close();
  }
});

test("a guest that says nothing of its command's end keeps its task from none", async () => {
  const { attempt, log } = await open(
    (_sink, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new FirebreakError("OPERATION_CANCELED", "let go of")));
      }),
    { timeoutMs: 50, answersKill: false },
  );
  const end = await attempt.run();
  assert.deepEqual([end.reason, end.exit], ["timeout", undefined]);
  await log.close();
});

test("a prompt without a line's end is shown, and goes on in another event", async () => {
  const { attempt, log } = await open(async (sink) => {
    await sink.onOutput("stdout", Buffer.from("name? "));
    while (log.lastSeq === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await sink.onOutput("stdout", Buffer.from("bob\n"));
    return exited(0);
  });
  await attempt.run();
  assert.equal(log.lastSeq, 2);
  assert.equal(await outputOf(log), "name? bob\n");
  await log.close();
});

test("an exit code that is none of success is a failure; output that the guest lost is told of", async () => {
  const { attempt, log } = await open(async (sink) => {
    await sink.onOutput("stderr", Buffer.from("half"));
    await sink.onSkipped(100);
    return exited(7);
  });
  const end = await attempt.run();
  assert.deepEqual([end.reason, end.message], ["failed", "exit code 7"]);
  const kinds: string[] = [];
  for await (const piece of log.read(1))
    for (const line of piece.toString().trimEnd().split("\n")) kinds.push((JSON.parse(line) as TaskEvent).type);
  assert.deepEqual(kinds, ["output", "gap"]);
  assert.equal(log.position.offset, 104);
  await log.close();
});

test("a command that is told to end before it is there is told again", async () => {
  const follow: Follow = async (_sink, _signal, killed) => {
    await killed;
    return exited(143);
  };
  const { attempt, log } = await open(follow, { unknownFor: 2 });
  attempt.end("cancelled", "it was cancelled");
  assert.equal((await attempt.run()).reason, "cancelled");
  await log.close();
});

test("a clock that was set back since its work began ends it neither at once nor late", async () => {
  const startedAtMs = Date.now() + 60 * 24 * 3600_000;
  const soon = await open(() => sleep(100).then(() => exited(0)), { startedAtMs });
  assert.equal((await soon.attempt.run()).reason, "completed");
  const never = await open((_sink, _signal, killed) => killed.then(() => exited(143)), { startedAtMs, timeoutMs: 200 });
  assert.equal((await never.attempt.run()).reason, "timeout");
});
