import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printImageResult } from "../../image-result.ts";

export function addImageBuild(parent: Command): void {
  const command = parent
    .command("build")
    .description("Build a built-in image and fetch the guest kernel. What is up to date is left alone.")
    .argument("[name]", "the recipe", "debian")
    .option("--force", "build it even when it is up to date")
    .action(async (name: string, options: { force?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const result = await client
        .imageBuild(name, options.force ?? false, { onProgress: progress.update })
        .finally(() => progress.clear());
      printImageResult(result, "built", asJson);
    });
}
