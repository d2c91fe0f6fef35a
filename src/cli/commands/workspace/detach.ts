import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addWorkspaceDetach(parent: Command): void {
  const command = parent
    .command("detach")
    .description("Sync a VM's workspace no more. Its files stay, on this host and in the VM.")
    .argument("<vm>", "name or id")
    .action(async (vm: string) => {
      const { client, asJson } = await openContext(command);
      const detached = await client.workspaces.detach(vm);
      if (asJson) printJson(detached);
      else process.stdout.write(`${detached.detached}\n`);
    });
}
