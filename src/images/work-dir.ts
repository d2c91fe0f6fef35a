import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { identifyProcess, runCommand } from "../platform/process.ts";

/** Work folders are named after their owner, so that the next run can tell a dead one's from one in use. */
const PREFIX = ".work-";

/**
 * Makes a folder in `parent` for half-made files. It is on the same file system as what it will become, so that the
 * last step is one rename; whoever is killed leaves only such a folder, and removeStaleWorkDirs takes it away.
 */
export async function createWorkDir(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  const self = await identifyProcess(process.pid);
  const name = `${PREFIX}${process.pid}-${self?.startTicks ?? 0}-${randomBytes(4).toString("hex")}`;
  const folder = path.join(parent, name);
  await mkdir(folder);
  // Whatever the umask: a rootless build enters as another user id.
  await chmod(folder, 0o755);
  return folder;
}

/** Removes the work folders in `parent` whose owner is no longer alive. */
export async function removeStaleWorkDirs(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [] as string[]);
  for (const name of names) {
    const owner = parseWorkDirName(name);
    if (owner === undefined) continue;
    const current = await identifyProcess(owner.pid);
    if (current?.startTicks === owner.startTicks) continue;
    await removeTree(path.join(parent, name));
  }
}

/** The owner that a work folder's name tells, or undefined for any other name. */
export function parseWorkDirName(name: string): { pid: number; startTicks: number } | undefined {
  const match = /^\.work-(\d+)-(\d+)-[0-9a-f]{8}$/.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTicks: Number(match[2]) };
}

/** Runs `use` with a new work folder and removes the folder afterwards, whatever happens. */
export async function withWorkDir<T>(parent: string, use: (folder: string) => Promise<T>): Promise<T> {
  await removeStaleWorkDirs(parent);
  const folder = await createWorkDir(parent);
  try {
    return await use(folder);
  } finally {
    await removeTree(folder);
  }
}

/**
 * Removes a folder with all it holds. A rootless build that was killed leaves files of other (subordinate) user ids,
 * which only root of a user namespace with the same map may remove.
 */
export async function removeTree(folder: string): Promise<void> {
  await refuseMountsBelow(folder);
  try {
    // Retries: what a killed tool started may write for a moment longer.
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "EACCES" && code !== "EPERM" && code !== "ENOTEMPTY") throw error;
    // What is ours but not writable (0500 folders) falls to the second rm, with ids mapped as mmdebstrap maps them.
    await chmod(folder, 0o755).catch(() => undefined);
    await runCommand("unshare", ["--map-root-user", "--map-auto", "rm", "-rf", "--", folder], { allowFailure: true });
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * A build mounts the host's /sys and more inside its tree. They belong to a mount namespace that ends with the build;
 * should one ever be in ours, removing the tree would remove what is mounted.
 */
async function refuseMountsBelow(folder: string): Promise<void> {
  const real = await realpath(folder).catch(() => undefined);
  if (real === undefined) return;
  const inside = findMountBelow(await readFile("/proc/self/mountinfo", "utf8"), real);
  if (inside === undefined) return;
  throw new FirebreakError("IMAGE_BUILD_FAILED", `${folder} was not removed: ${inside} is mounted in it`, {
    hint: `Unmount ${inside} and run the command again.`,
  });
}

/** The first mount point in /proc/self/mountinfo (field 5; blanks are octal escapes; proc(5)) that is in or at a folder. */
export function findMountBelow(mountinfo: string, folder: string): string | undefined {
  for (const line of mountinfo.split("\n")) {
    const escaped = line.split(" ")[4] ?? "";
    const mountPoint = escaped.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
    if (mountPoint === folder || mountPoint.startsWith(`${folder}/`)) return mountPoint;
  }
  return undefined;
}

/** Writes a file so that a reader sees the old content or the new, never a part. */
export async function writeFileAtomic(file: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(temporary, content, { flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
