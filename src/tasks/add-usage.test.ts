import assert from "node:assert/strict";
import { test } from "node:test";
import { type TaskUsage, taskUsageSchema } from "../contract/task.ts";
import type { Tokens } from "../contract/task-event.ts";
import { addUsage } from "./add-usage.ts";

const tokens = (model: string, input: number): Tokens => ({
  ...{ model, input, output: 1 },
  ...{ cacheRead: 0, cacheWrite: 0, reasoning: 0 },
});
const usage = (fields: Partial<TaskUsage>): TaskUsage => ({
  tokens: [],
  vmSeconds: 1,
  memoryMibSeconds: 512,
  ...fields,
});

test("what agents claim adds up to numbers, however large", () => {
  const most = usage({
    tokens: [tokens("a", Number.MAX_SAFE_INTEGER)],
    cost: { usd: Number.MAX_VALUE, source: "reported" },
  });
  const sum = addUsage(most, most);
  assert.deepEqual(taskUsageSchema.parse(JSON.parse(JSON.stringify(sum))), sum);
});

test("attempts add up, by model; a cost that one of them does not know is none", () => {
  const first = usage({ tokens: [tokens("a", 10)], cost: { usd: 1, source: "reported" } });
  const second = usage({ tokens: [tokens("a", 5), tokens("b", 7)], cost: { usd: 2, source: "prices" } });
  assert.equal(addUsage(undefined, first), first);
  const sum = addUsage(first, second);
  assert.deepEqual(
    sum.tokens.map(({ model, input }) => [model, input]),
    [
      ["a", 15],
      ["b", 7],
    ],
  );
  assert.deepEqual([sum.cost, sum.vmSeconds, sum.memoryMibSeconds], [{ usd: 3, source: "prices" }, 2, 1024]);
  assert.equal(addUsage(first, usage({ tokens: [tokens("c", 1)] })).cost, undefined);
  // One that had not begun to cost anything.
  assert.deepEqual(addUsage(first, usage({})).cost, { usd: 1, source: "reported" });
});
