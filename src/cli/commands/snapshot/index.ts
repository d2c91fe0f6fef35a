import type { Command } from "commander";
import { addSnapshotCreate } from "./create.ts";
import { addSnapshotDelete } from "./delete.ts";
import { addSnapshotFork } from "./fork.ts";
import { addSnapshotGet } from "./get.ts";
import { addSnapshotList } from "./list.ts";
import { addSnapshotRestore } from "./restore.ts";

export function addSnapshotCommands(program: Command): void {
  const snapshot = program.command("snapshot").description("save VMs as they are, come back to that, and fork it");
  for (const add of [
    addSnapshotCreate,
    addSnapshotList,
    addSnapshotGet,
    addSnapshotRestore,
    addSnapshotFork,
    addSnapshotDelete,
  ])
    add(snapshot);
}
