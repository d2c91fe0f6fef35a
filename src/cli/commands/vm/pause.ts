import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addVmPause(parent: Command): void {
  const command = parent
    .command("pause")
    .summary("make a VM stand still")
    .description(
      "Make a running VM stand still: it uses no CPU, keeps its memory, and answers nothing until 'vm resume'. To give its memory back as well, use 'vm suspend'.",
    )
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const vm = await client.vms.pause(name);
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} is ${vm.state}\n`);
    });
}
