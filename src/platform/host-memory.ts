import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const MIB = 1024 * 1024;

export interface HostMemory {
  /** The host's, or what the control groups of this process allow where that is less. */
  totalMib: number;
  /** What can be had without swapping, and without leaving the control groups' limits. */
  freeMib: number;
}

/** Memory of the host as this process, and the VMMs that it starts, may use it. */
export function readHostMemory(): HostMemory {
  const limits = readMemoryLimits();
  const toMib = (bytes: number[]) => Math.floor(Math.min(...bytes) / MIB);
  return {
    totalMib: toMib([os.totalmem(), ...limits.map(({ limitBytes }) => limitBytes)]),
    freeMib: toMib([os.freemem(), ...limits.map(({ freeBytes }) => freeBytes)]),
  };
}

interface MemoryLimit {
  limitBytes: number;
  /** What is left of it; page cache that the kernel would drop first counts as free, as it does for the whole host. */
  freeBytes: number;
}

/**
 * The limits of all control groups that this process is in, of either version; none where there is none, or the kernel does not tell.
 * `root` is where `/proc` and the control groups' file systems are looked for.
 */
export function readMemoryLimits(root = "/"): MemoryLimit[] {
  const groups = read(path.join(root, "proc/self/cgroup"));
  const mounts = read(path.join(root, "proc/self/mountinfo"));
  return groups.split("\n").flatMap((line) => {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (group === undefined) return [];
    if (controllers === "") return limitsOf(root, mounts, group, VERSION_2);
    return controllers?.split(",").includes("memory") ? limitsOf(root, mounts, group, VERSION_1) : [];
  });
}

/** What the two versions call the same things. */
interface Version {
  isMount: (type: string, options: string) => boolean;
  limit: string;
  usage: string;
  droppable: RegExp;
}
const VERSION_1: Version = {
  isMount: (type, options) => type === "cgroup" && options.split(",").includes("memory"),
  limit: "memory.limit_in_bytes",
  usage: "memory.usage_in_bytes",
  droppable: /^total_inactive_file (\d+)$/m,
};
const VERSION_2: Version = {
  isMount: (type) => type === "cgroup2",
  limit: "memory.max",
  usage: "memory.current",
  droppable: /^inactive_file (\d+)$/m,
};

/** From the process's own group up to the one that is mounted: each may have a limit, and the least of them holds. */
function limitsOf(root: string, mounts: string, group: string, version: Version): MemoryLimit[] {
  for (const line of mounts.split("\n")) {
    // ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [TAGS…] - TYPE SOURCE SUPER-OPTIONS (proc(5))
    const [before = "", after = ""] = line.split(" - ");
    const [, , , mounted = "/", mountPoint = ""] = before.split(" ");
    const [type = "", , options = ""] = after.split(" ");
    if (!version.isMount(type, options)) continue;
    // In a container the group's path may be that of the host, of which only a part is mounted.
    const below = path.relative(mounted, group);
    const parts = below === "" || below.startsWith("..") ? [] : below.split("/");
    return parts.concat("").flatMap((_, index) => {
      const folder = path.join(root, mountPoint, ...parts.slice(0, parts.length - index));
      return limitIn(folder, version) ?? [];
    });
  }
  return [];
}

function limitIn(folder: string, { limit, usage, droppable }: Version): MemoryLimit | undefined {
  const limitBytes = Number.parseInt(read(path.join(folder, limit)), 10); // "max", or no file, is no number
  const usedBytes = Number.parseInt(read(path.join(folder, usage)), 10);
  if (Number.isNaN(limitBytes) || Number.isNaN(usedBytes)) return undefined;
  const droppableBytes = Number(droppable.exec(read(path.join(folder, "memory.stat")))?.[1] ?? 0);
  return { limitBytes, freeBytes: Math.max(0, limitBytes - Math.max(0, usedBytes - droppableBytes)) };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
