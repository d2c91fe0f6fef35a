import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addNetworkTeardown(parent: Command): void {
  const command = parent
    .command("teardown")
    .description("Take back what 'network setup' has changed on this host. Not while VMs have network cards.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const status = await client.network.tearDown();
      if (asJson) printJson(status);
      else process.stdout.write("nothing of it is left\n");
    });
}
