import type { TaskUsage } from "../contract/task.ts";
import { MAX_COST_USD, type Tokens } from "../contract/task-event.ts";

/** What two attempts of a task have used together. A cost that one of them does not know is none. */
export function addUsage(past: TaskUsage | undefined, now: TaskUsage): TaskUsage {
  if (past === undefined) return now;
  const tokens = new Map<string | undefined, Tokens>();
  for (const each of [...past.tokens, ...now.tokens]) {
    const sum = tokens.get(each.model);
    tokens.set(each.model, sum === undefined ? each : addTokens(sum, each));
  }
  const costs = [past, now].filter((usage) => usage.tokens.length > 0 || usage.cost !== undefined);
  const isKnown = costs.length > 0 && costs.every(({ cost }) => cost !== undefined);
  const usd = Math.min(
    costs.reduce((sum, { cost }) => sum + (cost?.usd ?? 0), 0),
    MAX_COST_USD,
  );
  const source = costs.some(({ cost }) => cost?.source === "prices") ? "prices" : "reported";
  return {
    tokens: [...tokens.values()],
    ...(isKnown ? { cost: { usd, source } } : {}),
    vmSeconds: past.vmSeconds + now.vmSeconds,
    memoryMibSeconds: past.memoryMibSeconds + now.memoryMibSeconds,
  };
}

function addTokens(a: Tokens, b: Tokens): Tokens {
  const sum = (kind: keyof Omit<Tokens, "model">) => Math.min(a[kind] + b[kind], Number.MAX_SAFE_INTEGER);
  return {
    ...a,
    input: sum("input"),
    output: sum("output"),
    cacheRead: sum("cacheRead"),
    cacheWrite: sum("cacheWrite"),
    reasoning: sum("reasoning"),
  };
}
