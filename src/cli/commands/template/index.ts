import type { Command } from "commander";
import { addTemplateCreate } from "./create.ts";
import { addTemplateDelete } from "./delete.ts";
import { addTemplateGet } from "./get.ts";
import { addTemplateList } from "./list.ts";
import { addTemplatePrune } from "./prune.ts";

export function addTemplateCommands(program: Command): void {
  const template = program
    .command("template")
    .description("what VMs are forked from: made by itself at the first VM of a kind, and again when it is gone");
  for (const add of [addTemplateCreate, addTemplateList, addTemplateGet, addTemplatePrune, addTemplateDelete])
    add(template);
}
