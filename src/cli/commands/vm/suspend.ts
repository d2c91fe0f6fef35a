import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addVmSuspend(parent: Command): void {
  const command = parent
    .command("suspend")
    .summary("save a VM to disk and end its process until it is used again")
    .description(
      "Save a running VM to disk and give its memory back. Whatever is asked of it next (a command, a file) brings it back, with all its processes where they were.",
    )
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson, progress } = await openContext(command);
      const vm = await client.vms.suspend(name, { onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) printJson(vm);
      else process.stdout.write(`${vm.name} is ${vm.state}\n`);
    });
}
