import type { Forward } from "../../contract/forward.ts";
import { describePolicy } from "../../contract/policy.ts";
import type { Snapshot } from "../../contract/snapshot.ts";
import type { Vm, VmStats } from "../../contract/vm.ts";
import { formatAge, formatBytes, formatDuration } from "../output.ts";

/** What `vm get` knows of a VM. */
interface KnownVm {
  vm: Vm;
  snapshots: Snapshot[];
  forwards: Forward[];
  stats: VmStats["guest"];
}

/** What `vm get` says of a VM. */
export function vmFacts({ vm, snapshots, forwards, stats }: KnownVm): [label: string, value: string | undefined][] {
  const used = ({ totalBytes, availableBytes }: { totalBytes: number; availableBytes: number }) =>
    `${formatBytes(totalBytes - availableBytes)} of ${formatBytes(totalBytes)}`;
  return [
    ["name", vm.name],
    ["id", vm.id],
    ["state", describeState(vm)],
    ["image", `${vm.image} (${vm.imageDigest.slice(0, 19)})`],
    ["memory", `${vm.memoryMib} MiB`],
    ["cpus", String(vm.cpus)],
    ["disk", `${vm.diskMib} MiB`],
    ["driver", vm.pid === undefined ? vm.driver : `${vm.driver}, process ${vm.pid}`],
    ["accel", vm.accelReason === undefined ? vm.accel : `${vm.accel} (${vm.accelReason})`],
    ["created", `${vm.createdAt} (${formatAge(vm.createdAt)} ago)`],
    ["origin", ORIGINS[vm.origin]],
    ["snapshot", vm.snapshot === undefined ? undefined : describeSnapshot(vm.snapshot, snapshots)],
    ["ready after", vm.bootMs === undefined ? undefined : formatDuration(vm.bootMs)],
    ["network", describePolicy(vm.network).join("; ")],
    [
      "secrets",
      vm.secrets.map(({ name }) => (vm.exposedSecrets?.includes(name) ? `${name} (its value)` : name)).join(", ") ||
        undefined,
    ],
    ...describeDrives(vm),
    ["mounts", vm.mounts.map(describeMount).join(", ") || undefined],
    ...forwards.map(describeForward),
    ["idle timeout", vm.idleTimeoutMs === undefined ? undefined : formatDuration(vm.idleTimeoutMs)],
    [
      "labels",
      Object.entries(vm.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(", ") || undefined,
    ],
    ["restart", vm.restart.policy === "never" ? undefined : describeRestart(vm)],
    ["expires", vm.expiresAt === undefined ? undefined : `${vm.expiresAt} (then: ${vm.onExpiry})`],
    ["memory used", stats && used(stats.memory)],
    ["disk used", stats && used(stats.disk)],
    ["processes", stats && String(stats.processes)],
  ];
}

/** A line for each: what it is, where, and why the guest lacks it where it does. */
function describeDrives({ drives }: Vm): [label: string, value: string][] {
  return drives.map(({ name, format, path, readOnly, state, reason }) => {
    const place = path === undefined ? "" : ` at ${path}`;
    const how = [readOnly ? "read-only" : "writable", ...(state === "attached" ? [] : [state])].join(", ");
    const failed = reason === undefined ? "" : `; failed: ${reason}`;
    return [format === "ext4" ? "volume" : "drive", `${name}${place} (${how}${failed})`];
  });
}

function describeMount({ hostPath, guestPath, access, reason }: Vm["mounts"][number]): string {
  const place = hostPath === guestPath ? hostPath : `${hostPath} at ${guestPath}`;
  return `${place} (${access}${reason === undefined ? "" : `; not there: ${reason}`})`;
}

function describeForward({ id, hostAddress, hostPort, guestPort, state, reason }: Forward): [string, string] {
  const host = hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress;
  const how = [state, ...(reason === undefined ? [] : [reason])].join(": ");
  return ["forward", `${host}:${hostPort} to ${guestPort} (${how}, ${id})`];
}

const ORIGINS: Record<Vm["origin"], string> = {
  boot: "booted",
  template: "forked from the template of its kind",
  snapshot: "brought up from a snapshot",
  suspension: "brought back from its own suspension",
};

function describeRestart({ restart: { policy, maxRetries }, restartCount }: Vm): string {
  const limit = maxRetries === undefined ? "" : `, at most ${maxRetries} times in a row`;
  return `${policy}${limit}${restartCount === 0 ? "" : ` (restarted ${restartCount} times)`}`;
}

/** What a state means for whoever wants to use the VM, where that is not plain. */
function describeState(vm: Vm): string {
  if (vm.reason !== undefined) return `${vm.state}: ${vm.reason}`;
  if (vm.state === "paused") return `paused (goes on with: firebreak vm resume ${vm.name})`;
  return vm.state === "suspended" ? "suspended (the next use brings it back)" : vm.state;
}

function describeSnapshot(id: string, snapshots: Snapshot[]): string {
  const snapshot = snapshots.find((candidate) => candidate.id === id);
  return snapshot === undefined ? `${id} (deleted)` : snapshot.name;
}

/** A new VM's name for programs; on a terminal, what it is and what to do with it. */
export function printNewVm(vm: Vm, tookMs: number): void {
  process.stdout.write(`${vm.name}\n`);
  if (!process.stderr.isTTY) return;
  const how = vm.origin === "boot" ? "booted" : `forked from a ${vm.origin}`;
  process.stderr.write(
    `The VM runs (${vm.accel}, ${how} in ${formatDuration(tookMs)}). Work in it: firebreak vm shell ${vm.name}\n`,
  );
}
