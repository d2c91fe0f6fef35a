import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addVmStart(parent: Command): void {
  const command = parent
    .command("start")
    .description(
      "Start a stopped or crashed VM on the disk that it has. A paused or suspended one goes on where it was.",
    )
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson, progress } = await openContext(command);
      const vm = await client.vms.start(name, { onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} runs\n`);
    });
}
