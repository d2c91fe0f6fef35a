import { realpath } from "node:fs/promises";
import type { Command } from "commander";
import { DEFAULT_WORKSPACE_PATH, type WorkspaceSpec } from "../../contract/workspace.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { collect } from "./vm-options.ts";

export interface WorkspaceOptionValues {
  workspace?: string;
  workspacePath?: string;
  exclude?: string[];
}

/** A VM that begins with a host directory, which is synced back before it ends. */
export function addWorkspaceOptions(command: Command): Command {
  return command
    .option(
      "-W, --workspace <dir[:ro]>",
      "copy this directory into it, and what it changes back before it stops; with :ro nothing comes back",
    )
    .option("--workspace-path <path>", `where the workspace is in the guest (default: ${DEFAULT_WORKSPACE_PATH})`)
    .option("--exclude <pattern>", "leave out of the workspace, as in .gitignore (repeatable)", collect);
}

export async function toWorkspace(options: WorkspaceOptionValues): Promise<WorkspaceSpec | undefined> {
  const { workspace, workspacePath, exclude = [] } = options;
  if (workspace === undefined) {
    if (workspacePath !== undefined || exclude.length > 0)
      throw new FirebreakError("INVALID_ARGUMENT", "--workspace-path and --exclude are about a --workspace");
    return undefined;
  }
  const readOnly = workspace.endsWith(":ro");
  return {
    directory: await resolveHere(readOnly ? workspace.slice(0, -3) : workspace),
    ...(workspacePath === undefined ? {} : { guestPath: workspacePath }),
    ...(readOnly ? { readOnly } : {}),
    ...(exclude.length === 0 ? {} : { exclude }),
  };
}

/** The daemon has another working directory: it is told the whole path, without links. */
export async function resolveHere(directory: string): Promise<string> {
  return realpath(directory).catch(() => {
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such directory on this host: ${directory}`);
  });
}
