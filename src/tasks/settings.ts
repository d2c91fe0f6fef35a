import type { UserBudget } from "./budgets.ts";
import type { QueueCaps } from "./queue.ts";
import type { S3Settings } from "./results/s3.ts";

/** What `[tasks]` of firebreak.toml says, with what holds without. */
export interface TaskSettings extends QueueCaps {
  /** How long tasks that have ended are kept, ms. */
  keepMs: number;
  /** What each user may spend; undefined: there is no limit. */
  budget?: UserBudget | undefined;
  /** Where their files are kept; undefined: on this host. */
  storage?: (S3Settings & { keys: { id: string; secret: string; token: string | undefined } }) | undefined;
}
