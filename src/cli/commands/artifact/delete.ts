import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";

export function addArtifactDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete artifacts.")
    .argument("[artifacts...]", "names or ids")
    .option("-a, --all", "all artifacts")
    .action(async (names: string[], options: { all?: boolean }) => {
      requireTargets("artifact", names, options.all);
      const { client, asJson } = await openContext(command);
      const targets = options.all ? (await client.artifacts.list()).map((artifact) => artifact.id) : names;
      await deleteEach(targets, (name) => client.artifacts.delete(name), asJson);
    });
}
