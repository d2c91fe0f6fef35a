import { z } from "zod";
import { VM_STATES } from "../../contract/vm.ts";
import { defineTool } from "../tool.ts";

const MIB = 1024 * 1024;

export const usage = defineTool({
  name: "usage",
  title: "Show what firebreak uses",
  description:
    "Shows what all VMs have been given and use of this machine, and what images, snapshots and templates take of its disk.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({
    vms: z.int(),
    states: z.record(z.string(), z.int()),
    cpus: z.int().describe("Of the VMs that have a VMM."),
    memory_bytes: z.number().describe("The same."),
    host_memory_bytes: z.number().describe("What their VMMs use of this machine's."),
    host_cpu_ms: z.number(),
    vm_disk_bytes: z.number(),
    image_bytes: z.number(),
    snapshot_bytes: z.number(),
    template_bytes: z.number(),
  }),
  handler: async (_args, { client, signal }) => {
    const [vms, images, snapshots, templates] = await Promise.all([
      client.vmList({ signal }),
      client.imageList({ signal }),
      client.snapshotList({ signal }),
      client.templateList({ signal }),
    ]);
    const total = { hostMemory: 0, hostCpuMs: 0, disk: 0 };
    // One after another: a hundred guests need not all be asked at once.
    for (const vm of vms) {
      const stats = await client.vmStats(vm.id, { signal }).catch(() => undefined);
      total.disk += stats?.drive.allocatedBytes ?? 0;
      total.hostMemory += stats?.vmm?.rssBytes ?? 0;
      total.hostCpuMs += stats?.vmm?.cpuMs ?? 0;
    }
    const active = vms.filter(({ state }) => state === "running" || state === "paused");
    const counts = VM_STATES.map((state) => [state, vms.filter((vm) => vm.state === state).length] as const);
    const structured = {
      vms: vms.length,
      states: Object.fromEntries(counts.filter(([, count]) => count > 0)),
      cpus: sum(active, ({ cpus }) => cpus),
      memory_bytes: sum(active, ({ memoryMib }) => memoryMib * MIB),
      host_memory_bytes: total.hostMemory,
      host_cpu_ms: total.hostCpuMs,
      vm_disk_bytes: total.disk,
      image_bytes: sum(images, ({ sizeBytes }) => sizeBytes),
      snapshot_bytes: sum(snapshots, ({ sizeBytes }) => sizeBytes),
      template_bytes: sum(templates, ({ sizeBytes }) => sizeBytes),
    };
    const text = Object.entries(structured).map(
      ([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`,
    );
    return { structured, facts: [`${vms.length} VM${vms.length === 1 ? "" : "s"}`], text: text.join("\n") };
  },
});

function sum<T>(entries: readonly T[], value: (entry: T) => number): number {
  return entries.reduce((total, entry) => total + value(entry), 0);
}
