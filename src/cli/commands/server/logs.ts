import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { type LogFlags, printLog } from "../../print-log.ts";

export function addServerLogs(parent: Command): void {
  const command = parent
    .command("logs")
    .description(
      "Print what an MCP server has written to its standard error, and to its output beside the protocol. The last MiB is kept.",
    )
    .argument("<server>", "name")
    .option("-f, --follow", "go on with what comes")
    .option("-n, --tail <n>", "the last N lines only")
    .action(async (name: string, flags: LogFlags) => {
      const { client, asJson } = await openContext(command);
      await printLog(await client.servers.log(name, flags.follow ?? false), flags, asJson);
    });
}
