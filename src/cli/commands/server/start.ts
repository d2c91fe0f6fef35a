import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { printServer } from "./get.ts";

export function addServerStart(parent: Command): void {
  const command = parent
    .command("start")
    .summary("bring an MCP server up")
    .description(
      "Bring an MCP server up, so that its next call finds it running. The first time it is installed, which takes a while.",
    )
    .argument("<server>", "name")
    .action(async (name: string) => {
      const { client, asJson, progress } = await openContext(command);
      const server = await client.servers.start(name, { onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) return printJson(server);
      printServer(server);
    });
}
