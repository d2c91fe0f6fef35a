import path from "node:path";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { FIRECRACKER_FILES } from "../layout.ts";

/** How a Firecracker is jailed: chroot, user, control groups and network are made by its jailer, of the same release. */
export interface JailSettings {
  jailer: string;
  firecracker: string;
  /** At most 64 of [A-Za-z0-9-]; also the name of the folder. */
  id: string;
  /** Of its own: no two VMs share one. */
  uid: number;
  gid: number;
  /** The folder of all jails. No folder above it may be writable by others than root. */
  baseDir: string;
  /** The jailer's own default is 1; this host's is found by `detectCgroupVersion`. */
  cgroupVersion: 1 | 2;
  parentCgroup: string;
  memoryMib: number;
  cpus: number;
  /** The path of a network namespace, such as /run/netns/NAME; without one it stays in the host's, in which it has no card. */
  netns?: string;
}

/** Of Firecracker itself, besides its guest's memory: page tables, buffers and the emulation of devices. */
const VMM_OVERHEAD_MIB = 128;
/** Files, sockets and the guest's connections, each of which is one here. */
const MAX_OPEN_FILES = 4096;
const CPU_PERIOD_US = 100_000;

/** The jail as seen from outside: the jailer's docs/jailer.md says how it is named. */
export function jailRoot(settings: Pick<JailSettings, "baseDir" | "firecracker" | "id">): string {
  return path.join(settings.baseDir, path.basename(settings.firecracker), settings.id, "root");
}

/**
 * The jailer's command line. What comes behind `--` is Firecracker's; the jailer adds `--id` to it by itself. Pure. Throws
 * INVALID_ARGUMENT for what the jailer would refuse, in words of its own, only after it has made folders.
 */
export function jailerCommand(settings: JailSettings): string[] {
  const { id, firecracker, parentCgroup } = settings;
  if (!/^[A-Za-z0-9-]{1,64}$/.test(id)) throw refused(`a jail cannot be named ${JSON.stringify(id)}`);
  if (!path.basename(firecracker).includes("firecracker"))
    throw refused(`the jailer starts only programs whose name has "firecracker" in it, not ${firecracker}`);
  if (path.isAbsolute(parentCgroup) || parentCgroup.split("/").some((part) => part === ".." || part === "."))
    throw refused(`the parent control group ${parentCgroup} is not a plain relative path`);
  if (settings.uid === 0 || settings.gid === 0) throw refused("a jail's user is not root");
  return [
    settings.jailer,
    ...["--id", id, "--exec-file", firecracker],
    ...["--uid", String(settings.uid), "--gid", String(settings.gid)],
    ...["--chroot-base-dir", settings.baseDir],
    ...["--cgroup-version", String(settings.cgroupVersion), "--parent-cgroup", parentCgroup],
    ...cgroupLimits(settings).flatMap((limit) => ["--cgroup", limit]),
    ...["--resource-limit", `no-file=${MAX_OPEN_FILES}`],
    ...(settings.netns === undefined ? [] : ["--netns", settings.netns]),
    "--",
    ...["--api-sock", `/${FIRECRACKER_FILES.api}`],
  ];
}

/** What a VM may take of its host: names are those of the kernel's cgroup-v1 and cgroup-v2 documents. */
function cgroupLimits({ cgroupVersion, memoryMib, cpus }: JailSettings): string[] {
  const bytes = (memoryMib + VMM_OVERHEAD_MIB) * 1024 * 1024;
  // A core more than the guest has: its emulated devices and its console are not to starve it.
  const quota = (cpus + 1) * CPU_PERIOD_US;
  if (cgroupVersion === 2) return [`memory.max=${bytes}`, "memory.swap.max=0", `cpu.max=${quota} ${CPU_PERIOD_US}`];
  return [`memory.limit_in_bytes=${bytes}`, `cpu.cfs_period_us=${CPU_PERIOD_US}`, `cpu.cfs_quota_us=${quota}`];
}

/** Which hierarchy a host has, of its /proc/mounts: 2 only where nothing of version 1 is mounted, as the jailer looks for controllers in one of both. Pure. */
export function detectCgroupVersion(mounts: string): 1 | 2 {
  const types = mounts.split("\n").map((line) => line.split(" ")[2]);
  return types.includes("cgroup2") && !types.includes("cgroup") ? 2 : 1;
}

function refused(message: string): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", message);
}
