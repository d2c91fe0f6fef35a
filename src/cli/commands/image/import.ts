import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printImageResult } from "../../image-result.ts";

export function addImageImport(parent: Command): void {
  const command = parent
    .command("import")
    .summary("make an image of a root file system: a tar or a directory")
    .description(
      "Make an image of a root file system. It needs no init, no shell and no packages: whatever is to be run in it is enough.\nOwners and modes of a directory's files are kept; as root, all of them can be read.",
    )
    .argument("<source>", "a tar (also .gz, .zst, .xz), a directory, or - for a tar on standard input")
    .requiredOption("-n, --name <name>", "its name")
    .action(async (source: string, options: { name: string }) => {
      const { openRootfs } = await import("../../image-source.ts");
      const { client, asJson, progress } = await openContext(command);
      const result = await openRootfs(source, progress.update)
        .then((body) =>
          client.images.import({ name: options.name, format: "rootfs" }, body, { onProgress: progress.update }),
        )
        .finally(() => progress.clear());
      printImageResult(result, "imported", asJson);
    });
}
