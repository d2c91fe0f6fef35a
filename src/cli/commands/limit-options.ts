import type { Command } from "commander";
import type { ArchiveLimits } from "../../archive/tar-reader.ts";
import { parseCount, parseMib } from "../parse.ts";

export interface LimitOptionValues {
  maxEntries?: string;
  maxSize?: string;
}

/** How much is taken out of a VM at most: it is the VM that says how much there is. */
export function addLimitOptions(command: Command): Command {
  return command
    .option("--max-entries <n>", "most files and directories to take out of a VM (default: 200000)")
    .option("--max-size <size>", "most to take out of a VM, such as 512 (MiB) or 40G (default: 16G)");
}

export async function toLimits(options: LimitOptionValues): Promise<ArchiveLimits> {
  const { DEFAULT_LIMITS } = await import("../../archive/tar-reader.ts");
  return {
    maxEntries:
      options.maxEntries === undefined ? DEFAULT_LIMITS.maxEntries : parseCount("--max-entries", options.maxEntries),
    maxBytes:
      options.maxSize === undefined ? DEFAULT_LIMITS.maxBytes : parseMib("--max-size", options.maxSize) * 1024 ** 2,
  };
}
