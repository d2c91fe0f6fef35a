import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";
import { parseMib } from "../../parse.ts";

export function addArtifactCreate(parent: Command): void {
  const command = parent
    .command("create")
    .summary("keep a file or directory of a VM")
    .description("Keep a file, or a directory as a tar, of a running VM. It stays when the VM is deleted.")
    .argument("<vm>", "name or id")
    .argument("<path>", "absolute path in the VM")
    .option("-n, --name <name>", "name of the artifact (default: the file's)")
    .option("--max-size <size>", "most to take out of the VM, such as 512 (MiB) or 40G (default: 16G)")
    .action(async (vm: string, path: string, options: { name?: string; maxSize?: string }) => {
      const { client, asJson, progress } = await openContext(command);
      const request = {
        path,
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.maxSize === undefined ? {} : { maxBytes: parseMib("--max-size", options.maxSize) * 1024 ** 2 }),
      };
      const artifact = await client.artifacts
        .create(vm, request, { onProgress: progress.update })
        .finally(() => progress.clear());
      if (asJson) return printJson(artifact);
      process.stdout.write(`${artifact.name}\n`);
      if (process.stderr.isTTY)
        process.stderr.write(`${formatBytes(artifact.sizeBytes)}, ${artifact.mediaType}, ${artifact.digest}\n`);
    });
}
