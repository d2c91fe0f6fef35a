import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";

export function addForwardDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete port forwards, and cut their connections.")
    .argument("[forwards...]", "ids")
    .option("-a, --all", "all forwards")
    .action(async (ids: string[], options: { all?: boolean }) => {
      requireTargets("forward", ids, options.all);
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.forwards.list()).map((forward) => forward.id) : ids;
      await deleteEach(targets, (id) => client.forwards.delete(id), asJson);
    });
}
