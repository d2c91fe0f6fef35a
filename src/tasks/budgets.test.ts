import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import { UserBudgets } from "./budgets.ts";
import type { UsageEntry } from "./task-store.ts";

const DAY_MS = 86_400_000;
const NOW = Date.parse("2026-01-31T00:00:00Z");

function open(entries: { task?: string; user?: string; usd?: number; daysAgo: number }[]) {
  const world = {
    nowMs: NOW,
    budget: { perUserUsd: 10, windowMs: 7 * DAY_MS } as { perUserUsd: number; windowMs: number } | undefined,
    reads: 0,
  };
  const budgets = new UserBudgets({
    budget: () => world.budget,
    nowMs: () => world.nowMs,
    usage: ({ since }) => {
      world.reads++;
      return entries
        .map(
          ({ task = "t", user, usd, daysAgo }): UsageEntry => ({
            ...{ task, agent: "claude", user, model: undefined, labels: {} },
            endedAt: new Date(NOW - daysAgo * DAY_MS).toISOString(),
            usage: {
              tokens: [],
              vmSeconds: 0,
              memoryMibSeconds: 0,
              ...(usd === undefined ? {} : { cost: { usd, source: "prices" } }),
            },
          }),
        )
        .filter(({ endedAt }) => endedAt >= since);
    },
  });
  return { budgets, entries, world };
}

test("each user has a budget of his own, of which what is older than its window, or of no known cost, takes nothing", () => {
  const { budgets, world } = open([
    { user: "ann", usd: 6, daysAgo: 1 },
    { user: "ann", usd: 4, daysAgo: 6 },
    { user: "bob", usd: 9, daysAgo: 1 },
    { user: "bob", usd: 9, daysAgo: 8 },
    { user: "bob", daysAgo: 1 },
    { usd: 11, daysAgo: 0 },
  ]);
  assert.throws(
    () => budgets.check("ann"),
    (error) =>
      hasCode("TASK_BUDGET_EXHAUSTED")(error) &&
      /'ann' have cost 10\.0000 USD in the last 7d, and may cost 10\.0000/.test(String(error)),
  );
  budgets.check("bob");
  assert.throws(() => budgets.check(undefined), hasCode("TASK_BUDGET_EXHAUSTED"));
  world.budget = undefined;
  world.nowMs += DAY_MS;
  budgets.check("ann");
  assert.equal(budgets.isLimited, false);
});

test("what works counts as far as it has got, together with the user's others, until it has ended", () => {
  const { budgets, entries, world } = open([{ user: "ann", usd: 5, daysAgo: 1 }]);
  assert.equal(budgets.note("a", "ann", 3), undefined);
  assert.equal(budgets.note("b", "ann", 2), undefined, "all of it may be spent");
  assert.match(budgets.note("b", "ann", 2.5) ?? "", /have cost 10\.5000 USD/);
  assert.equal(budgets.note("c", "bob", 9), undefined);
  assert.throws(() => budgets.check("ann"), hasCode("TASK_BUDGET_EXHAUSTED"));
  assert.equal(world.reads, 2, "the store is not read with each output");
  entries.push({ task: "b", user: "ann", usd: 2.5, daysAgo: 0 });
  assert.throws(() => budgets.check("ann"), /have cost 10\.5000 USD/, "it is counted once");
  budgets.forget("b");
  assert.equal(budgets.note("a", "ann", 2), undefined);
  assert.match(budgets.note("a", "ann", 3) ?? "", /have cost 10\.5000 USD/);
});
