import { formatUsd } from "../contract/usd.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { UsageEntry } from "./task-store.ts";

/** What each user may spend, US dollars in a time that moves on. */
export interface UserBudget {
  perUserUsd: number;
  windowMs: number;
}

export interface UserBudgetsOptions {
  budget: () => UserBudget | undefined;
  /** Tasks that have ended. */
  usage: (range: { since: string }) => Iterable<UsageEntry>;
  nowMs?: () => number;
}

/** For so long a sum of what has ended is good, ms: it is asked for with each output of an agent, and what ends is told of. */
const FRESH_MS = 5_000;
const DAY_MS = 86_400_000;

/**
 * What users have spent: tasks that have ended, and those that work, as far as their agents have told. Callers on this host have no name, and are one user.
 * Tasks whose cost nobody knows count nothing.
 */
export class UserBudgets {
  readonly #options: UserBudgetsOptions;
  readonly #working = new Map<string, { user: string | undefined; usd: number }>();
  #ended: { atMs: number; budget: UserBudget | undefined; sums: Map<string | undefined, number> } | undefined;

  constructor(options: UserBudgetsOptions) {
    this.#options = options;
  }

  /** A task that works has cost so much by now: why it has to end, if it has. */
  note(task: string, user: string | undefined, usd: number): string | undefined {
    this.#working.set(task, { user, usd });
    const { budget, spent } = this.#look(user);
    return budget !== undefined && spent > budget.perUserUsd ? explain(user, spent, budget) : undefined;
  }

  /** A task works no more: what it has cost is among what has ended, or nowhere. */
  forget(task: string): void {
    this.#working.delete(task);
    this.#ended = undefined;
  }

  /** Whether there is a budget at all. */
  get isLimited(): boolean {
    return this.#look(undefined).budget !== undefined;
  }

  /** Throws TASK_BUDGET_EXHAUSTED for a user who has nothing left. */
  check(user: string | undefined): void {
    // Once for each task: what the configuration says by now.
    this.#ended = undefined;
    const { budget, spent } = this.#look(user);
    if (budget === undefined || spent < budget.perUserUsd) return;
    throw new FirebreakError("TASK_BUDGET_EXHAUSTED", explain(user, spent, budget), {
      hint: `What was spent on: firebreak usage --by task --since ${ago(budget.windowMs)}. The budget is budget_per_user in [tasks] of firebreak.toml; commands cost nothing, and are still taken.`,
      details: { spentUsd: round(spent), budgetUsd: budget.perUserUsd, windowMs: budget.windowMs },
    });
  }

  #look(user: string | undefined): { budget: UserBudget | undefined; spent: number } {
    const nowMs = this.#options.nowMs?.() ?? Date.now();
    if (this.#ended === undefined || nowMs - this.#ended.atMs > FRESH_MS) this.#ended = this.#sum(nowMs);
    const { budget, sums } = this.#ended;
    let spent = sums.get(user) ?? 0;
    for (const each of this.#working.values()) if (each.user === user) spent += each.usd;
    return { budget, spent };
  }

  #sum(nowMs: number) {
    const budget = this.#options.budget();
    const sums = new Map<string | undefined, number>();
    if (budget !== undefined)
      // One that has just ended may still be among those that work.
      for (const { task, user, usage } of this.#options.usage({
        since: new Date(nowMs - budget.windowMs).toISOString(),
      }))
        if (!this.#working.has(task)) sums.set(user, (sums.get(user) ?? 0) + (usage.cost?.usd ?? 0));
    return { atMs: nowMs, budget, sums };
  }
}

function explain(user: string | undefined, spent: number, { perUserUsd, windowMs }: UserBudget): string {
  const who = user === undefined ? "tasks of this host's own users" : `tasks of '${user}'`;
  return `${who} have cost ${formatUsd(spent)} in the last ${ago(windowMs)}, and may cost ${formatUsd(perUserUsd)}`;
}

const ago = (ms: number) => (ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : `${Math.round(ms / 3_600_000)}h`);
const round = (usd: number) => Math.round(usd * 1e6) / 1e6;
