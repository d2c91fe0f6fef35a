import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rmdir,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { findProcesses, identifyProcess, type ProcessIdentity } from "../../../platform/process.ts";
import type { MachineConfig } from "../../driver.ts";
import { killProcess } from "../../vmm-process.ts";
import { driveFile, FIRECRACKER_FILES, portSocket, rootOf, savesFolder, VSOCK_PORTS } from "../layout.ts";
import { detectCgroupVersion, jailerCommand, jailRoot } from "./jailer.ts";

/** What a jail is made with. */
export interface JailPrograms {
  jailer: string;
  firecracker: string;
  parentCgroup: string;
}

/**
 * Runs the jailer in mount and network namespaces of its own, with the machine's files mounted into its jail: they end with the process, so nothing is left to be
 * unmounted. /run is often closed to programs and devices, of which a jail has both; it is not so within. A machine with a TAP device gets into the namespace of that
 * by its jailer.
 */
const WITHIN = `set -e
base=$1; shift
mount --bind "$base" "$base"
mount -o remount,bind,nosuid,exec,dev "$base"
while [ "$1" != -- ]; do
  mount --bind "$1" "$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro,nosuid,nodev,noexec "$2"; else mount -o remount,bind,nosuid,nodev,noexec "$2"; fi
  shift 3
done
shift
exec "$@"`;

/** A process that has been killed may take a moment more to leave its control group, ms each time. */
const CGROUP_ATTEMPTS = 50;
const CGROUP_WAIT_MS = 20;

/** Makes the jail of a VM that is to start, with nothing in it that runs. `files` are shared by VMs, by their names in it. Returns what starts its Firecracker. */
export async function makeJail(
  config: MachineConfig,
  programs: JailPrograms,
  files: Record<string, string>,
): Promise<string[]> {
  const { runtimeDir, uid } = config;
  const settings = {
    ...programs,
    id: config.vmId,
    uid,
    gid: uid,
    baseDir: runtimeDir,
    cgroupVersion: detectCgroupVersion(await readFile("/proc/mounts", "utf8")),
    memoryMib: config.memoryMib,
    cpus: config.cpus,
    ...(config.card?.kind === "tap" && config.card.namespace !== undefined ? { netns: config.card.namespace } : {}),
  };
  const jailer = jailerCommand(settings);
  const root = jailRoot(settings);
  await mkdir(root, { recursive: true, mode: 0o755 });
  await chmod(runtimeDir, 0o711);
  await writeFile(cgroupFile(runtimeDir), programs.parentCgroup);
  await symlink(path.relative(runtimeDir, root), rootOf(runtimeDir));
  const saves = savesFolder(config);
  await mkdir(saves, { recursive: true, mode: 0o700 });
  await mkdir(`${root}/${FIRECRACKER_FILES.saves}`);
  const mounts = [saves, `${root}/${FIRECRACKER_FILES.saves}`, "rw"];
  const all = [
    ...Object.entries(files).map(([name, file]) => ({ name, file, readOnly: true })),
    ...config.drives.map(({ serial, path: file, readOnly }) => ({ name: driveFile(serial), file, readOnly })),
  ];
  for (const { name, file, readOnly } of all) {
    await writeFile(`${root}/${name}`, "");
    if (readOnly) await openToReaders(file);
    else await chown(file, uid, uid);
    mounts.push(file, `${root}/${name}`, readOnly ? "ro" : "rw");
  }
  const namespaces = ["--mount", "--propagation", "private", ...(config.card?.kind === "tap" ? [] : ["--net"])];
  return ["unshare", ...namespaces, "sh", "-c", WITHIN, "sh", runtimeDir, ...mounts, "--", ...jailer];
}

/** Which control group the VM's is in: what the settings say may be another by the time that it is removed. */
function cgroupFile(runtimeDir: string): string {
  return `${runtimeDir}/cgroup`;
}

/** What VMs share can be read by all who get at it, which outside of jails is root alone: the home is closed. */
async function openToReaders(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o004) === 0) await chmod(file, (mode & 0o777) | 0o444);
}

/** A socket that the daemon makes is of no use to a VMM that may not connect to it. Whose it is to be is told by the console, which is the VMM's from the jail's making on. */
export async function giveSocket(runtimeDir: string, socket: string): Promise<void> {
  if ((await jailIdOf(runtimeDir)) === undefined) return;
  const { uid, gid } = await lstat(`${rootOf(runtimeDir)}/${FIRECRACKER_FILES.console}`);
  await chown(socket, uid, gid);
}

/**
 * Closes the jail's root, of which the jailer has made the VMM's user the owner, before its guest runs: a VMM that its guest has taken over could put others' sockets in
 * the place of its own, which the daemon connects to. What was put there before is found now. Throws VMM_START_FAILED.
 */
export async function closeJail(runtimeDir: string): Promise<void> {
  const root = rootOf(runtimeDir);
  await chown(root, 0, 0);
  await chmod(root, 0o711);
  const sockets = [FIRECRACKER_FILES.api, FIRECRACKER_FILES.vsock].map((name) => `${root}/${name}`);
  for (const port of Object.values(VSOCK_PORTS)) sockets.push(portSocket(runtimeDir, port));
  for (const socket of sockets)
    if (!(await lstat(socket)).isSocket())
      throw new FirebreakError("VMM_START_FAILED", `Firecracker has put something else in the place of ${socket}`);
  if (!(await lstat(`${root}/${FIRECRACKER_FILES.console}`)).isFIFO())
    throw new FirebreakError("VMM_START_FAILED", "Firecracker has put something else in the place of its console");
}

/** The id of a VM's jail; undefined for one that has none. */
export async function jailIdOf(runtimeDir: string): Promise<string | undefined> {
  const target = await readlink(rootOf(runtimeDir)).catch(() => undefined);
  return target === undefined ? undefined : path.basename(path.dirname(target));
}

/** Checks that the jailer has made a Firecracker another user, without any right of root's. Throws VMM_START_FAILED. */
export async function checkUser(pid: number, uid: number): Promise<void> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const uids = /^Uid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (uids.length === 4 && uids.every((each) => each === String(uid)) && Number.parseInt(capabilities ?? "1", 16) === 0)
    return;
  throw new FirebreakError(
    "VMM_START_FAILED",
    `Firecracker runs as user ${uids[1] ?? "unknown"} with the rights ${capabilities}, not as ${uid} with none`,
  );
}

/** Firecrackers of a VM, and what is about to become one: told by its API's socket, by what makes its jail, or by the root of a jailed one, whatever it calls itself. Others that have the folder on their command lines are no business of ours. */
export async function findVmms(runtimeDir: string): Promise<ProcessIdentity[]> {
  const jail = await stat(rootOf(runtimeDir)).catch(() => undefined);
  const api = `${rootOf(runtimeDir)}/${FIRECRACKER_FILES.api}`;
  const isMakingJail = (argv: string[]) => argv.includes(WITHIN) || argv.includes("--chroot-base-dir");
  const found = await findProcesses(
    (argv) => (argv.includes(api) && argv.includes("--api-sock")) || (argv.includes(runtimeDir) && isMakingJail(argv)),
  );
  if (jail === undefined || (await jailIdOf(runtimeDir)) === undefined) return found;
  for (const entry of await readdir("/proc")) {
    const root = /^\d+$/.test(entry) ? await stat(`/proc/${entry}/root`).catch(() => undefined) : undefined;
    if (root?.ino !== jail.ino || root.dev !== jail.dev) continue;
    const identity = await identifyProcess(Number(entry));
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** The jailer leaves its control groups behind. */
export async function removeCgroups(runtimeDir: string): Promise<void> {
  const id = await jailIdOf(runtimeDir);
  const parentCgroup = await readFile(cgroupFile(runtimeDir), "utf8").catch(() => undefined);
  if (id === undefined || parentCgroup === undefined) return; // it has no jail
  const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  for (const [, at, type] of mounts)
    if (at !== undefined && (type === "cgroup" || type === "cgroup2"))
      await removeCgroup(path.join(at, parentCgroup, id));
}

/** A group that has processes in it cannot be removed: what a VMM has started besides itself ends with it. Most hierarchies have none of it. */
async function removeCgroup(folder: string): Promise<void> {
  for (let attempt = 0; attempt < CGROUP_ATTEMPTS; attempt++) {
    const error = await rmdir(folder).then(
      () => undefined,
      (thrown: NodeJS.ErrnoException) => thrown,
    );
    if (error?.code !== "EBUSY") return;
    const pids = (await readFile(`${folder}/cgroup.procs`, "utf8").catch(() => "")).match(/^[1-9]\d*$/gm) ?? [];
    for (const pid of pids) {
      const identity = await identifyProcess(Number(pid));
      if (identity !== undefined) await killProcess(identity);
    }
    await sleep(CGROUP_WAIT_MS);
  }
}
