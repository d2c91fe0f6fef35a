import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";

export function addDriveDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete drives with all that is on them; there is no way back. One that a VM has is not deleted.")
    .argument("[drives...]", "names or ids")
    .option("-a, --all", "all drives, volumes too")
    .action(async (names: string[], options: { all?: boolean }) => {
      requireTargets("drive", names, options.all);
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.drives.list()).map((drive) => drive.id) : names;
      await deleteEach(targets, (name) => client.drives.delete(name), asJson);
    });
}
