import type { Command } from "commander";
import type { ForkRequest } from "../../contract/snapshot.ts";
import { parseMib } from "../parse.ts";

export interface ForkOptionValues {
  disk?: string;
}

/** What a fork may have otherwise than what it is forked from. */
export function addForkOptions(command: Command): Command {
  return command
    .argument("[new-name]", "name of the new VM: a-z, 0-9 and '-'; made up when absent")
    .option("-d, --disk <size>", "size of its disk, such as 4G; it can only grow");
}

export function toFork(name: string | undefined, options: ForkOptionValues): ForkRequest {
  return {
    ...(name === undefined ? {} : { name }),
    ...(options.disk === undefined ? {} : { diskMib: parseMib("--disk", options.disk) }),
  };
}
