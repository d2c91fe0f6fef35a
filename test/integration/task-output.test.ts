import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type OutputSink, TaskMachines } from "../../src/tasks/machine.ts";
import type { VmService } from "../../src/vms/service.ts";
import { startHostAgent } from "../support/host-agent.ts";

test("a command's end is told when all that it has printed is taken, however slowly that is", async () => {
  const agent = await startHostAgent();
  try {
    const vms = { use: (_vm: string, _options: object, work: (vm: object) => unknown) => work(agent) };
    const machines = new TaskMachines(vms as unknown as VmService, () => []);
    const taken: string[] = [];
    const sink = {
      offset: 0,
      onOutput: async (_stream: string, bytes: Buffer) => {
        await sleep(200);
        sink.offset += bytes.length;
        taken.push(bytes.toString("utf8"));
      },
      onSkipped: async () => {},
    };
    const argv = ["sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three"];
    const exit = await machines.follow(
      "vm",
      "slow",
      async () => ({ argv, env: { PATH: process.env.PATH ?? "" }, cwd: "/", files: {} }),
      sink satisfies OutputSink,
      { signal: new AbortController().signal, timeoutMs: 30_000, isNew: true },
    );
    assert.equal(exit.exitCode, 0);
    assert.equal(taken.join(""), "one\ntwo\nthree");
  } finally {
    await agent.close();
  }
});
