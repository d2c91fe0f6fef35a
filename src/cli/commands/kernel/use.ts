import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addKernelUse(parent: Command): void {
  const command = parent
    .command("use")
    .description("Choose the kernel that new VMs get; a VM keeps the one that it was created with.")
    .argument("<id>", "an id of 'firebreak kernel list', or 'stock' for Debian's")
    .action(async (id: string) => {
      const { client, asJson, progress } = await openContext(command);
      const kernel = await client.kernels.use(id, { onProgress: progress.update }).finally(() => progress.clear());
      if (asJson) return printJson(kernel);
      process.stdout.write(`new VMs get ${kernel.id} (${kernel.kind}, ${kernel.release})\n`);
    });
}
