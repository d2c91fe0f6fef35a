import type { Command } from "commander";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { printReport } from "../workspace-report.ts";

export function addWorkspaceStatus(parent: Command): void {
  const command = parent
    .command("status")
    .description("Show what a push and a pull would change now.")
    .argument("<vm>", "name or id")
    .action(async (vm: string) => {
      const { client, asJson, progress } = await openContext(command);
      const status = await client.workspaces
        .status(vm, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) return printJson(status);
      const { directory, guestPath, state, reason } = status.workspace;
      process.stdout.write(`${stripControl(directory)} at ${vm}:${guestPath}: ${state}\n`);
      if (reason !== undefined) process.stdout.write(`${stripControl(reason)}\n`);
      process.stdout.write("push:\n");
      // The same paths are in conflict whichever way it goes.
      printReport({ ...status.push, conflicts: [], skipped: [] }, vm);
      process.stdout.write("pull:\n");
      printReport(status.pull, vm);
    });
}
