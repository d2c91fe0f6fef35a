import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { collect } from "../vm-options.ts";
import { resolveHere } from "../workspace-options.ts";
import { printReport } from "../workspace-report.ts";
import { addSyncOptions, type SyncOptionValues, toSync } from "./sync-options.ts";

interface PushOptions extends SyncOptionValues {
  path?: string;
  readOnly?: boolean;
  exclude?: string[];
}

export function addWorkspacePush(parent: Command): void {
  const command = parent
    .command("push")
    .summary("copy a directory into a VM, or what has changed in it")
    .description(
      "Copy a directory of this host into a VM. Later pushes copy what has changed since, deletions included. What the VM has changed, too, is left alone and reported.",
    )
    .argument("<vm>", "name or id")
    .argument("[dir]", "the directory; needed the first time")
    .option("--path <path>", "where it is in the guest (default: /workspace)")
    .option("--read-only", "nothing comes back from the VM")
    .option("--exclude <pattern>", "leave out, as in .gitignore, besides .firebreakignore (repeatable)", collect);
  addSyncOptions(command).action(async (vm: string, directory: string | undefined, options: PushOptions) => {
    const { client, asJson, progress } = await openContext(command);
    const request = {
      ...(directory === undefined ? {} : { directory: await resolveHere(directory) }),
      ...(options.path === undefined ? {} : { guestPath: options.path }),
      ...(options.readOnly ? { readOnly: true } : {}),
      ...(options.exclude === undefined ? {} : { exclude: options.exclude }),
      ...(await toSync(options)),
    };
    const report = await client.workspaces
      .push(vm, request, { onProgress: progress.update })
      .finally(() => progress.clear());
    if (asJson) printJson(report);
    else printReport(report, vm);
  });
}
