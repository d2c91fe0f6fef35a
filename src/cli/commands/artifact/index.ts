import type { Command } from "commander";
import { addArtifactCreate } from "./create.ts";
import { addArtifactDelete } from "./delete.ts";
import { addArtifactGet } from "./get.ts";
import { addArtifactList } from "./list.ts";

export function addArtifactCommands(program: Command): void {
  const artifact = program.command("artifact").description("keep files and directories of VMs, beyond their VM's life");
  for (const add of [addArtifactCreate, addArtifactList, addArtifactGet, addArtifactDelete]) add(artifact);
}
