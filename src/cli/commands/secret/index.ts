import type { Command } from "commander";
import { addSecretDelete } from "./delete.ts";
import { addSecretGet } from "./get.ts";
import { addSecretList } from "./list.ts";
import { addSecretRotate } from "./rotate.ts";
import { addSecretSet } from "./set.ts";

export function addSecretCommands(program: Command): void {
  const secret = program.command("secret").description("values that VMs use and do not have");
  for (const add of [addSecretSet, addSecretList, addSecretGet, addSecretRotate, addSecretDelete]) add(secret);
}
