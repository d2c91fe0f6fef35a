import { chmod, chown, lstat, rename } from "node:fs/promises";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { runCommand } from "../../../platform/process.ts";
import type { MachineConfig, SaveTarget } from "../../driver.ts";
import { FIRECRACKER_FILES, savesFolder } from "../layout.ts";

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
  return {
    memory: `${FIRECRACKER_FILES.saves}/${FIRECRACKER_FILES.memory}`,
    state: `${FIRECRACKER_FILES.saves}/${FIRECRACKER_FILES.state}`,
    open: async () => {
      for (const [name] of files) await runCommand("rm", ["-rf", "--", `${folder}/${name}`]);
      await chown(folder, config.uid, config.uid);
    },
    take: async () => {
      await chown(folder, 0, 0);
      await chmod(folder, 0o700);
      for (const [name, wanted] of files) {
        const file = `${folder}/${name}`;
        const found = await lstat(file).catch(() => undefined);
        if (found === undefined) continue; // the save has failed, and says so itself
        if (!found.isFile() || found.nlink !== 1 || found.uid !== config.uid)
          throw new FirebreakError(
            "SNAPSHOT_FAILED",
            `Firecracker has saved ${name} as something that is no file of its own`,
          );
        await chown(file, 0, 0);
        await chmod(file, 0o644);
        await rename(file, wanted).catch(async (error: NodeJS.ErrnoException) => {
          if (error.code !== "EXDEV") throw error;
          await runCommand("cp", ["--reflink=auto", "--sparse=always", "--", file, wanted]);
          await runCommand("rm", ["-f", "--", file]);
        });
      }
    },
  };
}
