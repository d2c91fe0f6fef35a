import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addServerLogout(parent: Command): void {
  const command = parent
    .command("logout")
    .summary("forget the login at an MCP server")
    .description(
      "Forget the login at an MCP server that runs elsewhere: its tokens are deleted here. What they allow ends when they do, or where the authorization server lets you end it.",
    )
    .argument("<server>", "name")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const server = await client.servers.logOut(name);
      if (asJson) return printJson(server);
      process.stdout.write(`logged out at '${name}'\n`);
    });
}
