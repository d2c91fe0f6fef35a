import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";

export function addKernelBuild(parent: Command): void {
  const command = parent
    .command("build")
    .description(
      "Build a small kernel, which boots faster, from Debian's kernel source: some minutes. What is up to date is left alone.",
    )
    .option("--force", "build it from the archive's newest source even when it is up to date")
    .option("--use", "give it to new VMs")
    .action(async (options: { force?: boolean; use?: boolean }) => {
      const { client, asJson, progress } = await openContext(command);
      const request = { force: options.force ?? false, use: options.use ?? false };
      const result = await client.kernels
        .build(request, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) return printJson(result);
      const { kernel } = result;
      const what = `${kernel.id} (${formatBytes(kernel.sizeBytes)})`;
      process.stdout.write(result.isUpToDate ? `${what} is up to date; nothing to do\n` : `${what} is built\n`);
      if (!kernel.isCurrent) process.stdout.write(`Give it to new VMs: firebreak kernel use ${kernel.id}\n`);
    });
}
