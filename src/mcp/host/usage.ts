import { z } from "zod";
import { readUsage } from "../../client/usage.ts";
import { defineTool } from "../tool.ts";

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
    const total = await readUsage(client, { signal });
    const structured = {
      vms: total.vms,
      states: total.states,
      cpus: total.cpus,
      memory_bytes: total.memoryBytes,
      host_memory_bytes: total.hostMemoryBytes,
      host_cpu_ms: total.hostCpuMs,
      vm_disk_bytes: total.vmDiskBytes,
      image_bytes: total.imageBytes,
      snapshot_bytes: total.snapshotBytes,
      template_bytes: total.templateBytes,
    };
    const text = Object.entries(structured).map(
      ([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`,
    );
    return { structured, facts: [`${total.vms} VM${total.vms === 1 ? "" : "s"}`], text: text.join("\n") };
  },
});
