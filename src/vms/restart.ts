import type { VmRecord } from "./vm-store.ts";

/** Doubled with each restart in a row, as other supervisors do, so that a VM that cannot run costs the host little. */
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;
/** A VM that has run for so long was well: the count begins anew. */
const HEALTHY_MS = 60_000;

export type RestartPlan =
  | { kind: "restart"; delayMs: number; count: number }
  /** It has been tried as often as its policy allows. */
  | { kind: "give_up" }
  | { kind: "none" };

/** How a VM ended without anybody asking for it. */
export interface VmEnd {
  /** It did not power itself off. */
  isFailure: boolean;
  /** Since it came to run; 0 when it did not come so far. */
  ranMs: number;
}

export function planRestart(
  record: Pick<VmRecord, "restart" | "restartCount" | "isWanted" | "ephemeral">,
  { isFailure, ranMs }: VmEnd,
): RestartPlan {
  const { policy, maxRetries } = record.restart;
  const applies = policy === "always" || (policy === "on-failure" && isFailure);
  if (!applies || !record.isWanted || record.ephemeral) return { kind: "none" };
  const count = ranMs >= HEALTHY_MS ? 0 : record.restartCount;
  if (maxRetries !== undefined && count >= maxRetries) return { kind: "give_up" };
  return { kind: "restart", delayMs: Math.min(FIRST_DELAY_MS * 2 ** count, MAX_DELAY_MS), count: count + 1 };
}
