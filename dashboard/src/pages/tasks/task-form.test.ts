import assert from "node:assert/strict";
import { test } from "node:test";
import { taskCreateSchema } from "../../../../src/contract/task.ts";
import { EMPTY_FORM, toRequest } from "./task-form.ts";

/** As the daemon takes it. */
const parse = (form: Partial<typeof EMPTY_FORM>) =>
  taskCreateSchema.parse(JSON.parse(JSON.stringify(toRequest({ ...EMPTY_FORM, ...form }))));

test("an empty form but for its prompt or command leaves all else to the daemon", () => {
  const asked = parse({ prompt: "Fix it" });
  assert.deepEqual(
    [asked.agent, asked.prompt, asked.timeoutMs, asked.network],
    ["claude", "Fix it", 3600_000, undefined],
  );
  assert.deepEqual(parse({ agent: "command", command: "make test" }).argv, ["sh", "-c", "make test"]);
});

test("all fields of the form arrive", () => {
  const asked = parse({
    prompt: "Fix it",
    name: "fix",
    model: "m",
    image: "debian",
    memoryMib: "2048",
    cpus: "2",
    diskMib: "4096",
    driver: "firecracker",
    accel: "kvm",
    timeoutMinutes: "1.5",
    maxTurns: "7",
    maxCostUsd: "0.5",
    network: "allowlist",
    allow: "a.example, registries",
    secrets: ["KEY"],
    env: "A=1\n\nB=x=y\n",
    git: "https://git.example/x.git",
    ref: "main",
    outputDir: "/out",
    priority: "-3",
    labels: "team=web urgent",
    keepVm: "always",
    maxRetries: "0",
  });
  const {
    files: _,
    cwd: __,
    webhooks: ___,
    argv: ____,
    deadlineAt: _____,
    ...rest
  } = { argv: 0, cwd: 0, deadlineAt: 0, ...asked };
  assert.deepEqual(rest, {
    agent: "claude",
    prompt: "Fix it",
    name: "fix",
    model: "m",
    image: "debian",
    memoryMib: 2048,
    cpus: 2,
    diskMib: 4096,
    driver: "firecracker",
    accel: "kvm",
    timeoutMs: 90_000,
    maxTurns: 7,
    maxCostUsd: 0.5,
    network: { mode: "allowlist", allow: ["a.example", "registries"] },
    secrets: [{ name: "KEY" }],
    env: { A: "1", B: "x=y" },
    workspace: { git: "https://git.example/x.git", ref: "main" },
    outputDir: "/out",
    priority: -3,
    labels: { team: "web", urgent: "" },
    keepVm: "always",
    maxRetries: 0,
  });
});
