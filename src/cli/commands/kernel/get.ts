import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printFacts, printJson } from "../../output.ts";

export function addKernelGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one kernel.")
    .argument("[id]", "an id of 'firebreak kernel list', or 'stock'", "current")
    .action(async (id: string) => {
      const { client, asJson } = await openContext(command);
      const kernel = await client.kernels.get(id);
      if (asJson) return printJson(kernel);
      printFacts([
        ["id", kernel.id],
        ["release", kernel.release],
        ["kind", kernel.kind],
        ["new VMs", kernel.isCurrent ? "get it" : undefined],
        ["size", formatBytes(kernel.sizeBytes)],
        ["from", `${kernel.package} ${kernel.version}`],
        ["created", `${kernel.createdAt} (${formatAge(kernel.createdAt)} ago)`],
      ]);
    });
}
