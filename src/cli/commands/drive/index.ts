import type { Command } from "commander";
import { addDriveAttach } from "./attach.ts";
import { addDriveCreate } from "./create.ts";
import { addDriveDelete } from "./delete.ts";
import { addDriveDetach } from "./detach.ts";
import { addDriveGet } from "./get.ts";
import { addDriveGrow } from "./grow.ts";
import { addDriveList } from "./list.ts";

export function addDriveCommands(program: Command): void {
  const drive = program.command("drive").description("block devices that VMs are given and lose while they run");
  for (const add of [
    addDriveCreate,
    addDriveList,
    addDriveGet,
    addDriveGrow,
    addDriveAttach,
    addDriveDetach,
    addDriveDelete,
  ])
    add(drive);
}
