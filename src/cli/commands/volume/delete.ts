import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";

export function addVolumeDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete volumes with all that is on them; there is no way back. One that a VM has is not deleted.")
    .argument("[volumes...]", "names or ids")
    .option("-a, --all", "all volumes")
    .action(async (names: string[], options: { all?: boolean }) => {
      requireTargets("volume", names, options.all);
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.volumes.list()).map((volume) => volume.id) : names;
      await deleteEach(targets, (name) => client.volumes.delete(name), asJson);
    });
}
