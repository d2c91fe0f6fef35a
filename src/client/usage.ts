import { VM_STATES, type Vm } from "../contract/vm.ts";
import type { ImageCalls } from "./calls/images.ts";
import type { SnapshotCalls } from "./calls/snapshots.ts";
import type { TemplateCalls } from "./calls/templates.ts";
import type { VmCalls } from "./calls/vms.ts";
import type { CallOptions } from "./daemon-http.ts";

const MIB = 1024 * 1024;

/** What all VMs have been given and use of their host, and what is kept on its disk. */
export interface Usage {
  vms: number;
  /** How many VMs are in which state; only those that some are in. */
  states: Record<string, number>;
  /** Of the VMs that have a VMM: what they have been given. */
  cpus: number;
  memoryBytes: number;
  /** What their VMMs use of the host. */
  hostMemoryBytes: number;
  hostCpuMs: number;
  vmDiskBytes: number;
  imageBytes: number;
  snapshotBytes: number;
  templateBytes: number;
}

export interface UsageCalls {
  vms: Pick<VmCalls, "list" | "stats">;
  images: Pick<ImageCalls, "list">;
  snapshots: Pick<SnapshotCalls, "list">;
  templates: Pick<TemplateCalls, "list">;
}

/** Asks each VM: some milliseconds for each. */
export async function readUsage(client: UsageCalls, options: Pick<CallOptions, "signal"> = {}): Promise<Usage> {
  const [vms, images, snapshots, templates] = await Promise.all([
    client.vms.list(options),
    client.images.list(options),
    client.snapshots.list(options),
    client.templates.list(options),
  ]);
  const total = { hostMemoryBytes: 0, hostCpuMs: 0, vmDiskBytes: 0 };
  // One after another: a hundred guests need not all be asked at once.
  for (const vm of vms) {
    const stats = await client.vms.stats(vm.id, options).catch(() => undefined);
    total.vmDiskBytes += stats?.drive.allocatedBytes ?? 0;
    total.hostMemoryBytes += stats?.vmm?.rssBytes ?? 0;
    total.hostCpuMs += stats?.vmm?.cpuMs ?? 0;
  }
  const active = vms.filter(({ state }) => state === "running" || state === "paused");
  return {
    vms: vms.length,
    states: countStates(vms),
    cpus: sum(active, ({ cpus }) => cpus),
    memoryBytes: sum(active, ({ memoryMib }) => memoryMib * MIB),
    ...total,
    imageBytes: sum(images, ({ sizeBytes }) => sizeBytes),
    snapshotBytes: sum(snapshots, ({ sizeBytes }) => sizeBytes),
    templateBytes: sum(templates, ({ sizeBytes }) => sizeBytes),
  };
}

function countStates(vms: readonly Vm[]): Record<string, number> {
  const counts = VM_STATES.map((state) => [state, vms.filter((vm) => vm.state === state).length] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

function sum<T>(entries: readonly T[], value: (entry: T) => number): number {
  return entries.reduce((total, entry) => total + value(entry), 0);
}
