import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson, printTable } from "../../output.ts";
import { printDrives } from "./facts.ts";

export function addDriveList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all drives, or those of one VM.")
    .option("--vm <vm>", "only those that this VM has")
    .action(async (options: { vm?: string }) => {
      const { client, asJson } = await openContext(command);
      if (options.vm !== undefined) {
        const drives = await client.drives.listOf(options.vm);
        if (asJson) return printJson({ drives });
        return printTable(
          ["DRIVE", "PATH", "ACCESS", "STATE"],
          drives.map(({ drive, path, readOnly, state, reason }) => [
            drive.name,
            path ?? "-",
            readOnly ? "read-only" : "writable",
            reason === undefined ? state : `failed: ${reason}`,
          ]),
        );
      }
      const drives = await client.drives.list();
      if (asJson) return printJson({ drives });
      if (drives.length === 0)
        return void process.stdout.write("No drives. Make one: firebreak drive create NAME --size 1G\n");
      printDrives(drives);
    });
}
