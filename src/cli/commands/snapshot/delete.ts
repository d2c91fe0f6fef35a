import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";

export function addSnapshotDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete snapshots. VMs that came from them are not touched.")
    .argument("[snapshots...]", "names or ids")
    .option("-a, --all", "all snapshots")
    .action(async (names: string[], options: { all?: boolean }) => {
      requireTargets("snapshot", names, options.all);
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.snapshots.list()).map((snapshot) => snapshot.id) : names;
      await deleteEach(targets, (name) => client.snapshots.delete(name), asJson);
    });
}
