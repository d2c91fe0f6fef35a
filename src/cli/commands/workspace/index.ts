import type { Command } from "commander";
import { addWorkspaceBackups } from "./backups.ts";
import { addWorkspaceDetach } from "./detach.ts";
import { addWorkspaceList } from "./list.ts";
import { addWorkspacePull } from "./pull.ts";
import { addWorkspacePush } from "./push.ts";
import { addWorkspaceRestore } from "./restore.ts";
import { addWorkspaceStatus } from "./status.ts";

export function addWorkspaceCommands(program: Command): void {
  const workspace = program.command("workspace").description("copy directories into VMs and sync them back");
  for (const add of [
    addWorkspacePush,
    addWorkspacePull,
    addWorkspaceStatus,
    addWorkspaceList,
    addWorkspaceDetach,
    addWorkspaceBackups,
    addWorkspaceRestore,
  ])
    add(workspace);
}
