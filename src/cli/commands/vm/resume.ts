import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addVmResume(parent: Command): void {
  const command = parent
    .command("resume")
    .summary("let a paused or suspended VM go on")
    .description("Let a paused VM go on, or bring a suspended one back. A running one is left as it is.")
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const vm = await client.vms.resume(name);
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} runs\n`);
    });
}
