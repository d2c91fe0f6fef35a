import type { QueueCaps } from "./queue.ts";

/** What `[tasks]` of firebreak.toml says, with what holds without. */
export interface TaskSettings extends QueueCaps {
  /** How long tasks that have ended are kept, ms. */
  keepMs: number;
}

/** VMs that are made ready while all places are taken, so that the next work begins when one is free. */
export const PREPARED_AHEAD = 2;
