import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_COST_USD, type Tokens } from "../contract/task-event.ts";
import { usageSchema } from "../contract/usage.ts";
import type { UsageEntry } from "./task-store.ts";
import { sumUsage } from "./usage.ts";

const tokens = (model: string | undefined, input: number, output = 0): Tokens => ({
  ...(model === undefined ? {} : { model }),
  input,
  output,
  cacheRead: 0,
  cacheWrite: 0,
  reasoning: 0,
});
const entry = (task: string, fields: Partial<UsageEntry> & { usd?: number; of?: Tokens[]; s?: number }): UsageEntry => {
  const { usd, of = [], s = 0, ...rest } = fields;
  const cost = usd === undefined ? {} : { cost: { usd, source: "reported" as const } };
  return {
    task,
    endedAt: "2026-01-02T03:04:05.000Z",
    agent: "claude",
    user: undefined,
    model: undefined,
    labels: {},
    usage: { tokens: of, ...cost, vmSeconds: s, memoryMibSeconds: s * 512 },
    ...rest,
  };
};

test("each group has the sums of its tasks, the dearest first", () => {
  const usage = sumUsage(
    [
      entry("a", { usd: 0.1, s: 10, of: [tokens("m", 5, 1)] }),
      entry("b", { usd: 0.2, s: 1.5, of: [tokens("m", 7, 2)] }),
      entry("c", { agent: "codex", usd: 2, s: 3 }),
    ],
    "agent",
  );
  assert.deepEqual(
    usage.groups.map(({ key, tasks, costUsd, vmSeconds, memoryMibSeconds }) => [
      key,
      tasks,
      costUsd,
      vmSeconds,
      memoryMibSeconds,
    ]),
    [
      ["codex", 1, 2, 3, 1536],
      ["claude", 2, 0.3, 11.5, 5888],
    ],
  );
  assert.equal(usage.groups[1]?.tokens.input, 12);
  assert.equal(usage.total.costUsd, 2.3);
  assert.equal(usage.total.tokens.output, 3);
});

test("each model has its own tokens, and the task counts once, for the one with the most", () => {
  const { groups, total } = sumUsage(
    [
      entry("a", { model: "opus", usd: 1, s: 4, of: [tokens("small", 10), tokens("large", 900)] }),
      entry("b", { model: "small", of: [tokens(undefined, 3)] }),
      entry("c", {}),
    ],
    "model",
  );
  const facts = groups.map(({ key, tasks, costUsd, tokens: { input } }) => [key, tasks, costUsd, input]);
  assert.deepEqual(facts, [
    ["large", 1, 1, 900],
    [undefined, 1, 0, 0],
    ["small", 1, 0, 13],
  ]);
  assert.equal(total.tasks, 3);
  assert.equal(total.tokens.input, 913);
});

test("by label, user and day; what has none is a group without a key", () => {
  const entries = [
    entry("a", { labels: { team: "x" }, user: "ci", usd: 1 }),
    entry("b", { endedAt: "2026-01-01T23:59:59.999Z", usd: 5 }),
  ];
  const keys = (by: string) => sumUsage(entries, by).groups.map(({ key }) => key);
  assert.deepEqual(keys("label:team"), [undefined, "x"]);
  assert.deepEqual(keys("label:constructor"), [undefined]);
  assert.deepEqual(keys("user"), [undefined, "ci"]);
  assert.deepEqual(keys("day"), ["2026-01-01", "2026-01-02"]);
  assert.deepEqual(keys("task"), ["b", "a"]);
});

test("a task with tokens and no known price is told of; a command has no cost to be known", () => {
  const { total } = sumUsage([entry("a", { of: [tokens("m", 1)] }), entry("b", {}), entry("c", { usd: 0 })], "agent");
  assert.equal(total.withoutCost, 1);
});

test("what tasks claim, or claimed before there was a bound, makes no sum that is no number", () => {
  const entries = ["a", "b"].map((task) => entry(task, { usd: 1e308, of: [tokens("m", Number.MAX_SAFE_INTEGER)] }));
  const sums = sumUsage(entries, "agent");
  assert.deepEqual(usageSchema.parse(JSON.parse(JSON.stringify(sums))), sums);
  assert.equal(sums.total.costUsd, 2 * MAX_COST_USD);
});
