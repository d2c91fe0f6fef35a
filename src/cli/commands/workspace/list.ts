import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, printJson, printTable } from "../../output.ts";

export function addWorkspaceList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List the workspaces of all VMs, and how far they are synced.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const workspaces = await client.workspaces.list();
      if (asJson) return printJson({ workspaces });
      if (workspaces.length === 0)
        return void process.stdout.write(
          "No workspaces. Copy a directory into a VM: firebreak workspace push VM DIR\n",
        );
      printTable(
        ["VM", "DIRECTORY", "IN THE VM", "STATE", "PUSHED", "PULLED", "REASON"],
        workspaces.map((workspace) => [
          workspace.vm.name,
          `${workspace.directory}${workspace.readOnly ? ":ro" : ""}`,
          workspace.guestPath,
          workspace.state,
          formatAge(workspace.lastPushAt),
          formatAge(workspace.lastPullAt),
          workspace.reason ?? "",
        ]),
      );
    });
}
