import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson, printTable } from "../../output.ts";

export function addImageCommands(program: Command): void {
  const image = program.command("image").description("build and list images that VMs boot from");
  const list = image
    .command("list")
    .alias("ls")
    .description("List all images.")
    .action(async () => {
      const { client, asJson } = await openContext(list);
      const images = await client.imageList();
      if (asJson) return printJson({ images });
      if (images.length === 0)
        return void process.stdout.write("No images. Build the default one: firebreak image build debian\n");
      printTable(
        ["NAME", "DIGEST", "SIZE", "FORMAT", "AGE"],
        images.map((entry) => [
          entry.name,
          entry.digest.slice(0, 19),
          formatBytes(entry.sizeBytes),
          entry.format,
          formatAge(entry.createdAt),
        ]),
      );
    });
  const build = image
    .command("build")
    .description("Build a built-in image and fetch the guest kernel. What is up to date is left alone.")
    .argument("[name]", "the recipe", "debian")
    .option("--force", "build it even when it is up to date")
    .action(async (name: string, options: { force?: boolean }) => {
      const { client, asJson, progress } = await openContext(build);
      const result = await client
        .imageBuild(name, options.force ?? false, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) return printJson(result);
      const what = `${result.image.name} ${result.image.digest.slice(0, 19)} (${formatBytes(result.image.sizeBytes)})`;
      process.stdout.write(result.isUpToDate ? `${what} is up to date; nothing to do\n` : `${what} is built\n`);
    });
}
