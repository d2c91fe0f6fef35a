import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";

export function addImagePrune(parent: Command): void {
  const command = parent
    .command("prune")
    .description("Delete the images without a name that no VM or snapshot needs, with their templates.")
    .option("-a, --all", "those with a name, too")
    .option("--dry-run", "only say what would go")
    .action(async (options: { all?: boolean; dryRun?: boolean }) => {
      const { client, asJson } = await openContext(command);
      const pruned = await client.images.prune({ all: options.all ?? false, dryRun: options.dryRun ?? false });
      if (asJson) return printJson(pruned);
      for (const image of pruned.images) {
        const templates = image.templates.length === 0 ? "" : `, with its templates ${image.templates.join(", ")}`;
        const names = image.tags.length === 0 ? "" : ` ${image.tags.join(", ")}`;
        process.stdout.write(`${image.digest.slice(0, 19)}${names} (${formatBytes(image.freedBytes)})${templates}\n`);
      }
      const count = `${pruned.images.length} image${pruned.images.length === 1 ? "" : "s"}`;
      const done = pruned.isDryRun ? "would be deleted" : "deleted";
      const freed = `${formatBytes(pruned.freedBytes)} ${pruned.isDryRun ? "would be freed" : "freed"}`;
      process.stderr.write(pruned.images.length === 0 ? "nothing to delete\n" : `${count} ${done}, ${freed}\n`);
    });
}
