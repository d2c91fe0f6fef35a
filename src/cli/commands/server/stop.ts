import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addServerStop(parent: Command): void {
  const command = parent
    .command("stop")
    .summary("end an MCP server's VMs")
    .description("End an MCP server's VMs. What it was saved as stays: its next call begins with that.")
    .argument("<server>", "name")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const server = await client.servers.stop(name);
      if (asJson) return printJson(server);
      process.stdout.write(`${server.name}\n`);
    });
}
