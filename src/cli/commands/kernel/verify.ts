import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addKernelVerify(parent: Command): void {
  const command = parent
    .command("verify")
    .description("Compare a kernel's files with the digests noted when it was made. Exit code 4 when one is altered.")
    .argument("[id]", "an id of 'firebreak kernel list', or 'stock'", "current")
    .action(async (id: string) => {
      const { client, asJson } = await openContext(command);
      const kernel = await client.kernels.verify(id);
      if (asJson) return printJson(kernel);
      process.stdout.write(`${kernel.id} is as it was made\n`);
    });
}
