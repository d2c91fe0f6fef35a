import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { addKindOptions, type KindOptionValues, toKind } from "../vm-options.ts";

export function addTemplateCreate(parent: Command): void {
  const command = parent
    .command("create")
    .summary("make the template of a kind of VM ahead of its first")
    .description(
      "Make the template that VMs of a kind are forked from, so that the first of them takes no longer than the others. When there is one already, that is shown.",
    );
  addKindOptions(command).action(async (options: KindOptionValues) => {
    const { client, asJson, progress } = await openContext(command);
    const template = await client.templates
      .create(toKind(options), { onProgress: progress.update })
      .finally(() => progress.clear());
    if (asJson) return printJson(template);
    process.stdout.write(`${template.id}\n`);
  });
}
