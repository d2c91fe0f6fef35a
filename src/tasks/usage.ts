import { MAX_COST_USD, type Tokens } from "../contract/task-event.ts";
import type { Usage, UsageGroup, UsageSums } from "../contract/usage.ts";
import type { UsageEntry } from "./task-store.ts";

const KINDS = ["input", "output", "cacheRead", "cacheWrite", "reasoning"] as const;
const LABEL = "label:";

/**
 * Sums of ended tasks by what `by` names (see `usageBySchema`). Of a task of several models each model has its own tokens; the task itself, its cost and
 * its VM's time count for the model with the most tokens, so that sums of all groups are the total. Costs are US dollars.
 */
export function sumUsage(
  entries: Iterable<UsageEntry>,
  by: string,
  { since, until }: { since?: string | undefined; until?: string | undefined } = {},
): Usage {
  const groups = new Map<string | undefined, UsageSums>();
  const total = noUsage();
  const groupOf = (key: string | undefined) => {
    const known = groups.get(key) ?? noUsage();
    groups.set(key, known);
    return known;
  };
  for (const entry of entries) {
    const own = groupOf(by === "model" ? mainModel(entry) : keyOf(entry, by));
    for (const sums of [own, total]) addTask(sums, entry);
    for (const tokens of entry.usage.tokens) {
      addTokens(by === "model" ? groupOf(modelOf(tokens, entry)) : own, tokens);
      addTokens(total, tokens);
    }
  }
  const found: UsageGroup[] = [...groups].map(([key, sums]) => ({
    ...(key === undefined ? {} : { key }),
    ...rounded(sums),
  }));
  found.sort(by === "day" ? byKey : byCost);
  return {
    by,
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    groups: found,
    total: rounded(total),
  };
}

function keyOf({ task, agent, user, labels, endedAt }: UsageEntry, by: string): string | undefined {
  if (by.startsWith(LABEL)) {
    const key = by.slice(LABEL.length);
    return Object.hasOwn(labels, key) ? labels[key] : undefined;
  }
  if (by === "task") return task;
  if (by === "user") return user;
  if (by === "day") return endedAt.slice(0, "2026-01-31".length);
  return agent;
}

function modelOf(tokens: Tokens, entry: UsageEntry): string | undefined {
  return tokens.model ?? entry.model;
}

function mainModel(entry: UsageEntry): string | undefined {
  const [first, ...rest] = entry.usage.tokens;
  if (first === undefined) return entry.model;
  const all = ({ input, output, cacheRead, cacheWrite }: Tokens) => input + output + cacheRead + cacheWrite;
  return modelOf(
    rest.reduce((most, each) => (all(each) > all(most) ? each : most), first),
    entry,
  );
}

function addTask(sums: UsageSums, { usage: { cost, tokens, vmSeconds, memoryMibSeconds } }: UsageEntry): void {
  sums.tasks += 1;
  // One that was kept without a bound makes no sum that is no number.
  sums.costUsd += Math.min(cost?.usd ?? 0, MAX_COST_USD);
  if (cost === undefined && tokens.length > 0) sums.withoutCost += 1;
  sums.vmSeconds += vmSeconds;
  sums.memoryMibSeconds += memoryMibSeconds;
}

function addTokens(sums: UsageSums, tokens: Tokens): void {
  for (const kind of KINDS) sums.tokens[kind] = Math.min(sums.tokens[kind] + tokens[kind], Number.MAX_SAFE_INTEGER);
}

function noUsage(): UsageSums {
  const tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  return { tasks: 0, tokens, costUsd: 0, withoutCost: 0, vmSeconds: 0, memoryMibSeconds: 0 };
}

/** What adding fractions has left over is taken away: micro-dollars and milliseconds are what there is. */
function rounded(sums: UsageSums): UsageSums {
  return {
    ...sums,
    costUsd: Math.round(sums.costUsd * 1e6) / 1e6,
    vmSeconds: Math.round(sums.vmSeconds * 1e3) / 1e3,
    memoryMibSeconds: Math.round(sums.memoryMibSeconds * 1e3) / 1e3,
  };
}

function byKey(a: UsageGroup, b: UsageGroup): number {
  const [one, other] = [a.key ?? "", b.key ?? ""];
  return one < other ? -1 : one > other ? 1 : 0;
}

function byCost(a: UsageGroup, b: UsageGroup): number {
  return b.costUsd - a.costUsd || b.vmSeconds - a.vmSeconds || byKey(a, b);
}
