import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { addForkOptions, type ForkOptionValues, toFork } from "../fork-options.ts";
import { printNewVm } from "../vm-facts.ts";

export function addVmFork(parent: Command): void {
  const command = parent
    .command("fork")
    .summary("make a second VM that goes on where a VM stands")
    .description(
      "Make a second VM that goes on where a running or paused VM stands, with its files, memory and processes, and a name and identity of its own. The first one goes on, too. To fork the same state more than once, use 'snapshot create' and 'snapshot fork'.",
    )
    .argument("<vm>", "name or id");
  addForkOptions(command).action(async (name: string, newName: string | undefined, options: ForkOptionValues) => {
    const { client, asJson, progress } = await openContext(command);
    const startedMs = performance.now();
    const vm = await client.vms
      .fork(name, await toFork(newName, options), { onProgress: progress.update })
      .finally(() => progress.clear());
    if (asJson) printJson(vm);
    else printNewVm(vm, performance.now() - startedMs);
  });
}
