import type { Command } from "commander";
import { addVolumeCreate } from "./create.ts";
import { addVolumeDelete } from "./delete.ts";
import { addVolumeGet } from "./get.ts";
import { addVolumeList } from "./list.ts";

export function addVolumeCommands(program: Command): void {
  const volume = program.command("volume").description("storage that outlives VMs: vm create --volume NAME:/path");
  for (const add of [addVolumeCreate, addVolumeList, addVolumeGet, addVolumeDelete]) add(volume);
}
