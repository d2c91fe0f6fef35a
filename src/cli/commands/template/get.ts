import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printFacts, printJson } from "../../output.ts";

export function addTemplateGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one template: what it was made of, and whether VMs are still forked from it.")
    .argument("<id>", "an id of 'firebreak template list'")
    .action(async (id: string) => {
      const { client, asJson } = await openContext(command);
      const template = await client.templates.get(id);
      if (asJson) return printJson(template);
      printFacts([
        ["id", template.id],
        ["created", `${template.createdAt} (${formatAge(template.createdAt)} ago)`],
        ["size", formatBytes(template.sizeBytes)],
        ["image", `${template.image} (${template.imageDigest.slice(0, 19)})`],
        ["kernel", template.kernelId],
        ["memory", `${template.memoryMib} MiB`],
        ["cpus", String(template.cpus)],
        ["disk", `${template.diskMib} MiB, grown to what a VM asks for`],
        ["needs", `${template.driver} ${template.driverVersion}, ${template.accel}`],
        ["stale", template.isStale ? "yes: made of something that is not in use any more" : "no"],
      ]);
    });
}
