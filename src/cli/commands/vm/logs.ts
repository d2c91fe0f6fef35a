import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { type LogFlags, printLog } from "../../print-log.ts";

export function addVmLogs(parent: Command): void {
  const command = parent
    .command("logs")
    .description("Print a VM's console: what its kernel and guest agent say. The last MiB is kept.")
    .argument("<vm>", "name or id")
    .option("-f, --follow", "go on with what comes")
    .option("-n, --tail <n>", "the last N lines only")
    .action(async (name: string, flags: LogFlags) => {
      const { client, asJson } = await openContext(command);
      await printLog(await client.vms.logs(name, flags.follow ?? false), flags, asJson);
    });
}
