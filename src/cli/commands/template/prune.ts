import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";

export function addTemplatePrune(parent: Command): void {
  const command = parent
    .command("prune")
    .description("Delete the templates that are of no use any more. No VM depends on a template once it runs.")
    .option("-a, --all", "all templates; the next VM of each kind takes some seconds longer")
    .action(async (options: { all?: boolean }) => {
      const { client, asJson } = await openContext(command);
      const pruned = await client.templates.prune(options.all ?? false);
      if (asJson) return printJson({ pruned });
      for (const { id } of pruned) process.stdout.write(`${id}\n`);
      const freed = formatBytes(pruned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
      const count = `${pruned.length} template${pruned.length === 1 ? " is" : "s are"} deleted`;
      process.stderr.write(pruned.length === 0 ? "nothing to delete\n" : `${count}, ${freed} freed\n`);
    });
}
