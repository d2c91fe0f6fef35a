import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson, printTable } from "../../output.ts";

export function addWorkspaceBackups(parent: Command): void {
  const command = parent
    .command("backups")
    .summary("list the backups of directories that pulls have changed")
    .description(
      "List the backups of directories that pulls have changed, the newest first. Each is a tar file, compressed with zstd; ten are kept of a directory.",
    )
    .option("--delete <id>", "delete this one")
    .action(async (options: { delete?: string }) => {
      const { client, asJson } = await openContext(command);
      if (options.delete !== undefined) {
        const deleted = await client.backups.delete(options.delete);
        if (asJson) printJson(deleted);
        else process.stdout.write(`${deleted.deleted}\n`);
        return;
      }
      const backups = await client.backups.list();
      if (asJson) return printJson({ backups });
      if (backups.length === 0) return void process.stdout.write("No backups: no pull has changed anything.\n");
      printTable(
        ["ID", "DIRECTORY", "VM", "SIZE", "AGE", "FILE"],
        backups.map((backup) => [
          backup.id,
          backup.directory,
          backup.vmName ?? "-",
          formatBytes(backup.sizeBytes),
          formatAge(backup.createdAt),
          backup.file,
        ]),
      );
    });
}
