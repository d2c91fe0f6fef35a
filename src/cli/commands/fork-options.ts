import type { Command } from "commander";
import type { ForkRequest } from "../../contract/snapshot.ts";
import { toMounts } from "../mount-spec.ts";
import { parseMib } from "../parse.ts";
import { collect } from "./vm-options.ts";

export interface ForkOptionValues {
  disk?: string;
  mount?: string[];
}

/** What a fork may have otherwise than what it is forked from. */
export function addForkOptions(command: Command): Command {
  return command
    .argument("[new-name]", "name of the new VM: a-z, 0-9 and '-'; made up when absent")
    .option("-d, --disk <size>", "size of its disk, such as 4G; it can only grow")
    .option(
      "--mount <host[:guest][:rw]>",
      "a directory or file of this host that it sees live; it has none of those of what it is forked from (repeatable)",
      collect,
    );
}

export async function toFork(name: string | undefined, options: ForkOptionValues): Promise<ForkRequest> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(options.disk === undefined ? {} : { diskMib: parseMib("--disk", options.disk) }),
    ...(await toMounts(options.mount)),
  };
}
