import type { Command } from "commander";
import { addForwardCreate } from "./create.ts";
import { addForwardDelete } from "./delete.ts";
import { addForwardGet } from "./get.ts";
import { addForwardList } from "./list.ts";

export function addForwardCommands(program: Command): void {
  const forward = program.command("forward").description("ports of this host behind which ports of VMs are");
  for (const add of [addForwardCreate, addForwardList, addForwardGet, addForwardDelete]) add(forward);
}
