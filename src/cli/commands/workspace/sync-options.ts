import type { Command } from "commander";
import type { Resolution } from "../../../contract/workspace.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { addLimitOptions, type LimitOptionValues, toLimits } from "../limit-options.ts";

export interface SyncOptionValues extends LimitOptionValues {
  ours?: boolean;
  theirs?: boolean;
  keepBoth?: boolean;
  dryRun?: boolean;
}

/** What push and pull have in common. */
export function addSyncOptions(command: Command): Command {
  return addLimitOptions(command)
    .option("--ours", "where both sides have changed a path, this host's version wins")
    .option("--theirs", "where both sides have changed a path, the VM's version wins")
    .option("--keep-both", "where both sides have changed a path, the other's version is put beside it")
    .option("--dry-run", "only say what would be done");
}

export async function toSync(options: SyncOptionValues) {
  const wanted: Resolution[] = [];
  if (options.ours) wanted.push("ours");
  if (options.theirs) wanted.push("theirs");
  if (options.keepBoth) wanted.push("keep-both");
  if (wanted.length > 1)
    throw new FirebreakError("INVALID_ARGUMENT", "only one of --ours, --theirs and --keep-both can be meant");
  return {
    ...(wanted[0] === undefined ? {} : { resolve: wanted[0] }),
    ...(options.dryRun ? { dryRun: true } : {}),
    ...(options.maxEntries === undefined && options.maxSize === undefined ? {} : await toLimits(options)),
  };
}
