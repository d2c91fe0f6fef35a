import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { resolveHere } from "../workspace-options.ts";
import { printReport } from "../workspace-report.ts";

export function addWorkspaceRestore(parent: Command): void {
  const command = parent
    .command("restore")
    .summary("make a directory what it was before a pull")
    .description(
      "Make a directory what it was at a backup. What it is now is backed up first. What syncs leave out (.firebreakignore) stays as it is.",
    )
    .argument("<backup>", "id, as 'workspace backups' lists them")
    .option("--to <dir>", "restore into this directory, which must exist, instead of the original one")
    .action(async (backup: string, options: { to?: string }) => {
      const { client, asJson, progress } = await openContext(command);
      const directory = options.to === undefined ? undefined : await resolveHere(options.to);
      const report = await client.backups
        .restore(backup, directory, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) printJson(report);
      else printReport(report, "the backup");
    });
}
