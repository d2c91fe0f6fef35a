import assert from "node:assert/strict";
import { test } from "node:test";
import { taskCreateSchema } from "../contract/task.ts";
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
