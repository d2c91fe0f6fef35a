import { z } from "zod";
import { defineTool } from "../tool.ts";

export const hostInfo = defineTool({
  name: "host_info",
  title: "Show this machine",
  description: "Shows what the machine that runs the VMs has, and what of it is free: CPUs, memory, disk, VMM.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({
    version: z.string(),
    arch: z.string(),
    kernel: z.string(),
    cpus: z.int(),
    cpu_model: z.string(),
    load1: z.number(),
    memory_bytes: z.number(),
    memory_available_bytes: z.number(),
    disk_bytes: z.number(),
    disk_available_bytes: z.number(),
    driver: z.string().describe("What VMs get that say none."),
    drivers: z.string().describe("Those whose VMM is installed, with its version."),
    vms: z.int(),
    running: z.int(),
  }),
  handler: async (_args, { client, signal }) => {
    const info = await client.hostInfo({ signal });
    const structured = {
      version: info.version,
      arch: info.arch,
      kernel: info.kernel,
      cpus: info.cpus,
      cpu_model: info.cpuModel,
      load1: info.load1,
      memory_bytes: info.memory.totalBytes,
      memory_available_bytes: info.memory.availableBytes,
      disk_bytes: info.disk.totalBytes,
      disk_available_bytes: info.disk.availableBytes,
      driver: info.driver,
      drivers: info.drivers.map(({ name, version }) => `${name} ${version}`).join(", "),
      vms: info.vms.total,
      running: info.vms.running,
    };
    const text = Object.entries(structured).map(([key, value]) => `${key}: ${value}`);
    return { structured, facts: [`${info.cpus} CPUs`, info.arch], text: text.join("\n") };
  },
});
