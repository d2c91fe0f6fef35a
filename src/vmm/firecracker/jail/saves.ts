import { chmod, chown, lstat, rename } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { runCommand } from "../../../platform/process.ts";
import type { MachineConfig, SaveTarget } from "../../driver.ts";
import { FIRECRACKER_FILES, savesFolder } from "../layout.ts";

/** Of a machine without its memory, which a real one saves in some tens of KiB: a VMM that its guest has taken over may write any amount. */
export const MAX_STATE_BYTES = 64 * 1024 * 1024;

/** Where a Firecracker writes what it saves, by the names that it is told, and how that gets to where it is wanted. */
export interface SavePlace {
  memory: string;
  state: string;
  /** Lets it write there. */
  open: () => Promise<void>;
  /** Takes what it has written. */
  take: () => Promise<void>;
}

/** Without a jail it writes where it is told. */
export function directPlace({ memoryPath, statePath }: SaveTarget): SavePlace {
  return { memory: memoryPath, state: statePath, open: async () => {}, take: async () => {} };
}

/**
 * A jailed one writes into its folder, which is its user's just for that. What is there afterwards was put there by a VMM that a hostile guest may have taken over: the
 * folder is closed to it, and then only plain files of its own, which nobody else has a name for, are taken.
 */
export function jailedPlace(config: MachineConfig, target: SaveTarget): SavePlace {
  const folder = savesFolder(config);
  const files = [
    [FIRECRACKER_FILES.memory, target.memoryPath],
    [FIRECRACKER_FILES.state, target.statePath],
  ] as const;
  const limits = {
    [FIRECRACKER_FILES.memory]: config.memoryMib * 1024 * 1024 + MAX_STATE_BYTES,
    [FIRECRACKER_FILES.state]: MAX_STATE_BYTES,
  };
  return {
    memory: `${FIRECRACKER_FILES.saves}/${FIRECRACKER_FILES.memory}`,
    state: `${FIRECRACKER_FILES.saves}/${FIRECRACKER_FILES.state}`,
    open: async () => {
      await closeSaves(folder);
      await chown(folder, config.uid, config.uid);
    },
    take: async () => {
      await close(folder);
      try {
        for (const [name, wanted] of files) await takeFile(`${folder}/${name}`, wanted, limits[name], config.uid);
      } finally {
        await closeSaves(folder);
      }
    },
  };
}

async function takeFile(file: string, wanted: string, maxBytes: number, uid: number): Promise<void> {
  const name = path.basename(file);
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined) return; // the save has failed, and says so itself
  if (!found.isFile() || found.nlink !== 1 || found.uid !== uid)
    throw new FirebreakError(
      "SNAPSHOT_FAILED",
      `Firecracker has saved ${name} as something that is no file of its own`,
    );
  if (found.size > maxBytes)
    throw new FirebreakError("SNAPSHOT_FAILED", `Firecracker has saved ${name} as a file of ${found.size} bytes`);
  await chown(file, 0, 0);
  await chmod(file, 0o644);
  await rename(file, wanted).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EXDEV") throw error;
    await runCommand("cp", ["--reflink=auto", "--sparse=always", "--", file, wanted]);
  });
}

/**
 * Takes the folder from a VMM and all that is in it, as it is between saves: what a daemon that was killed in the middle of one has left, and folders in which a VMM that
 * has them open could write on.
 */
export async function closeSaves(folder: string): Promise<void> {
  if (!(await close(folder))) return;
  await runCommand("find", [folder, "-mindepth", "1", "-delete"]);
}

/** False where there is no such folder. */
async function close(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined);
  if (!found?.isDirectory()) return false;
  await chown(folder, 0, 0);
  await chmod(folder, 0o700);
  return true;
}
