import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const vmStats = defineTool({
  name: "vm_stats",
  title: "Show what a VM uses",
  description:
    "Shows what a VM uses of CPU, memory, disk and network, as its guest sees it and as this machine does. It is no use of the VM: it stays suspended if it is.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: z.strictObject({
    vm: z.string(),
    state: z.string(),
    cpus: z.int(),
    memory_bytes: z.number(),
    memory_available_bytes: z.number().optional().describe("In the guest."),
    disk_bytes: z.number(),
    disk_available_bytes: z.number().optional().describe("In the guest."),
    host_disk_bytes: z.number().describe("What its disk takes on this machine."),
    host_memory_bytes: z.number().optional(),
    host_cpu_ms: z.number().optional(),
    load1: z.number().optional(),
    processes: z.int().optional(),
    uptime_ms: z.number().optional(),
    received_bytes: z.number().optional().describe("By this machine from the VM, to operate it."),
    sent_bytes: z.number().optional(),
    network_received_bytes: z.number().optional().describe("The same of its ways out, if it has one."),
    network_sent_bytes: z.number().optional(),
  }),
  handler: async (args, { client, signal }) => {
    const { vm, state, cpus, memoryBytes, drive, channel, network, vmm, guest } = await client.vms.stats(args.vm, {
      signal,
    });
    const structured = {
      vm,
      state,
      cpus,
      memory_bytes: memoryBytes,
      disk_bytes: drive.sizeBytes,
      host_disk_bytes: drive.allocatedBytes,
      ...(vmm === undefined ? {} : { host_memory_bytes: vmm.rssBytes, host_cpu_ms: vmm.cpuMs }),
      ...(channel === undefined ? {} : { received_bytes: channel.receivedBytes, sent_bytes: channel.sentBytes }),
      ...(network === undefined
        ? {}
        : { network_received_bytes: network.receivedBytes, network_sent_bytes: network.sentBytes }),
      ...(guest === undefined
        ? {}
        : {
            memory_available_bytes: guest.memory.availableBytes,
            disk_available_bytes: guest.disk.availableBytes,
            load1: guest.load1,
            processes: guest.processes,
            uptime_ms: guest.uptimeMs,
          }),
    };
    const text = Object.entries(structured).map(([key, value]) => `${key}: ${value}`);
    return { structured, vm, facts: [state], text: text.slice(2).join("\n") };
  },
});
