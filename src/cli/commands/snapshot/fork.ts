import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { addForkOptions, type ForkOptionValues, toFork } from "../fork-options.ts";
import { printNewVm } from "../vm-facts.ts";

export function addSnapshotFork(parent: Command): void {
  const command = parent
    .command("fork")
    .summary("make a new VM that goes on from a snapshot")
    .description(
      "Make a new VM that goes on where a snapshot stands, with its files, memory and processes, and a name and identity of its own. A snapshot can be forked any number of times.",
    )
    .argument("<snapshot>", "name or id");
  addForkOptions(command).action(async (name: string, newName: string | undefined, options: ForkOptionValues) => {
    const { client, asJson, progress } = await openContext(command);
    const startedMs = performance.now();
    const vm = await client.snapshots
      .fork(name, await toFork(newName, options), { onProgress: progress.update })
      .finally(() => progress.clear());
    if (asJson) printJson(vm);
    else printNewVm(vm, performance.now() - startedMs);
  });
}
