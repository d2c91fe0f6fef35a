import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import { MAX_WORD_BYTES, taskCreateSchema } from "../contract/task.ts";
import type { TaskAgent } from "./agents/agent.ts";
import { claude } from "./agents/claude.ts";
import { command } from "./agents/command.ts";
import { planTask } from "./wanted.ts";

test("a task's VM has the machine that was asked for, its VMM and accelerator included", () => {
  const machine = {
    image: "debian",
    memoryMib: 384,
    cpus: 2,
    diskMib: 3072,
    driver: "firecracker",
    accel: "kvm",
  } as const;
  const request = taskCreateSchema.parse({ agent: "command", argv: ["true"], ...machine });
  const { vm } = planTask(request, { agent: command, drive: undefined, hasSecret: () => false });
  assert.deepEqual({ ...vm, ...machine }, vm);
});

test("what an agent cannot keep to is refused, by the name of its field", () => {
  const plan = (agent: TaskAgent, more: object) =>
    planTask(taskCreateSchema.parse({ agent: agent.name, ...more }), { agent, drive: "d", hasSecret: () => true });
  for (const [field, value] of [
    ["maxTurns", 3],
    ["maxCostUsd", 1],
    ["model", "opus"],
  ] as const) {
    assert.throws(() => plan(command, { argv: ["true"], [field]: value }), {
      code: "INVALID_ARGUMENT",
      message: new RegExp(`^${field}: the agent 'command' `),
      details: { field },
    });
    plan(claude, { prompt: "x", [field]: value });
  }
});

test("what is denied stays so in the network that a task gets of its own", () => {
  const workspace = { git: "https://git.example/x.git" };
  const network = { mode: "none", deny: ["git.example"] } as const;
  const request = taskCreateSchema.parse({ agent: "command", argv: ["true"], workspace, network });
  const { vm } = planTask(request, { agent: command, drive: undefined, hasSecret: () => false });
  assert.deepEqual(vm.network, {
    mode: "allowlist",
    deny: ["git.example"],
    allow: [{ host: "git.example", ports: "443" }],
  });
});

test("what no VM can be asked for is refused before there is one", () => {
  const plan = (fields: object) =>
    planTask(taskCreateSchema.parse({ agent: "command", argv: ["true"], ...fields }), {
      agent: command,
      drive: undefined,
      hasSecret: () => false,
    });
  const most = "é".repeat((MAX_WORD_BYTES - 1) / 2);
  assert.deepEqual(plan({ argv: ["echo", most] }).launch.argv, ["echo", most]);
  for (const fields of [
    { argv: ["echo", `${most}é`] },
    { env: { A: most } },
    { argv: ["echo", ...Array<string>(7).fill(most)] },
    {
      argv: ["echo", ..."12345678"],
      env: Object.fromEntries([..."ABCDEFG"].map((name) => [name, "\u0001".repeat(30_000)])),
    },
  ])
    assert.throws(() => plan(fields), hasCode("INVALID_ARGUMENT"));
  for (const fields of [
    { argv: ["echo", "a\0b"] },
    { argv: ["echo", "\ud800"] },
    { env: { A: "\udfff" } },
    { cwd: "/root/\ud800" },
    { cwd: "" },
    { outputDir: "" },
    { outputDir: "/root/\ud800" },
    { files: { "/root/\ud800": "" } },
    { agent: "claude", argv: undefined, prompt: "\ud800" },
    { agent: "claude", argv: undefined, prompt: "x".repeat(MAX_WORD_BYTES + 1) },
  ])
    assert.equal(taskCreateSchema.safeParse({ agent: "command", argv: ["true"], ...fields }).success, false);
});
