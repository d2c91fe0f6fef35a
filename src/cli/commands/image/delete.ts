import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { deleteEach } from "../../delete-each.ts";

export function addImageDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Delete images with all their names. One that a VM, a snapshot or a template needs stays.")
    .argument("<images...>", "names, digests, or beginnings of digests")
    .option("--force", "delete the templates that were made of it, too; they are made anew when they are needed")
    .action(async (images: string[], options: { force?: boolean }) => {
      const { client, asJson } = await openContext(command);
      await deleteEach(images, (image) => client.images.delete(image, options.force ?? false), asJson);
    });
}
