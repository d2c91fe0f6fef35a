import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { resolveHere } from "../workspace-options.ts";
import { printReport } from "../workspace-report.ts";
import { addSyncOptions, type SyncOptionValues, toSync } from "./sync-options.ts";

export function addWorkspacePull(parent: Command): void {
  const command = parent
    .command("pull")
    .summary("bring back what a VM has changed")
    .description(
      "Bring what a VM has changed in its workspace back to this host: changes, new files and deletions, after a backup of the directory. What has been changed on both sides is left alone and reported. What the VM sends may be anything: read it before you run it.",
    )
    .argument("<vm>", "name or id")
    .argument("[dir]", "another directory than the workspace's own")
    .option("--path <path>", "where it is in the guest, for another directory");
  addSyncOptions(command).action(
    async (vm: string, directory: string | undefined, options: SyncOptionValues & { path?: string }) => {
      const { client, asJson, progress } = await openContext(command);
      const request = {
        ...(directory === undefined ? {} : { directory: await resolveHere(directory) }),
        ...(options.path === undefined ? {} : { guestPath: options.path }),
        ...(await toSync(options)),
      };
      const report = await client.workspaces
        .pull(vm, request, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) printJson(report);
      else printReport(report, vm);
    },
  );
}
