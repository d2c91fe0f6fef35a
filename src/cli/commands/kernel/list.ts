import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson, printTable } from "../../output.ts";

export function addKernelList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description("List all kernels. New VMs get the one marked with '*'.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const kernels = await client.kernels.list();
      if (asJson) return printJson({ kernels });
      if (kernels.length === 0)
        return void process.stdout.write("No kernels. Fetch Debian's: firebreak kernel use stock\n");
      printTable(
        ["", "ID", "RELEASE", "KIND", "SIZE", "AGE"],
        kernels.map((entry) => [
          entry.isCurrent ? "*" : "",
          entry.id,
          entry.release,
          entry.kind,
          formatBytes(entry.sizeBytes),
          formatAge(entry.createdAt),
        ]),
      );
    });
}
