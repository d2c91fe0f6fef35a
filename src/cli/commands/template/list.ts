import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson, printTable } from "../../output.ts";

export function addTemplateList(parent: Command): void {
  const command = parent
    .command("list")
    .alias("ls")
    .description(
      "List all templates. A stale one is of an image, kernel, guest agent or VMM that is not in use any more.",
    )
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const templates = await client.templates.list();
      if (asJson) return printJson({ templates });
      if (templates.length === 0)
        return void process.stdout.write("No templates. The first VM of a kind makes one: firebreak vm create\n");
      printTable(
        ["ID", "IMAGE", "MEMORY", "CPUS", "DISK", "ACCEL", "SIZE", "STALE", "AGE"],
        templates.map((template) => [
          template.id,
          template.image,
          `${template.memoryMib} MiB`,
          String(template.cpus),
          `${template.diskMib} MiB`,
          template.accel,
          formatBytes(template.sizeBytes),
          template.isStale ? "yes" : "no",
          formatAge(template.createdAt),
        ]),
      );
    });
}
