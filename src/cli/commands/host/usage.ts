import type { Command } from "commander";
import { readUsage } from "../../../client/usage.ts";
import { openContext } from "../../context.ts";
import { formatBytes, formatDuration, printFacts, printJson } from "../../output.ts";

export function addHostUsage(parent: Command): void {
  const command = parent
    .command("usage")
    .description("Show what the VMs have been given and use of their machine, and what is kept on its disk.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const usage = await readUsage(client);
      if (asJson) return printJson(usage);
      const states = Object.entries(usage.states).map(([state, count]) => `${count} ${state}`);
      printFacts([
        ["vms", [String(usage.vms), ...states].join(", ")],
        ["given", `${usage.cpus} CPUs, ${formatBytes(usage.memoryBytes)} of memory`],
        ["used", `${formatBytes(usage.hostMemoryBytes)} of memory, ${formatDuration(usage.hostCpuMs)} of CPU time`],
        ["disks of VMs", formatBytes(usage.vmDiskBytes)],
        ["images", formatBytes(usage.imageBytes)],
        ["snapshots", formatBytes(usage.snapshotBytes)],
        ["templates", formatBytes(usage.templateBytes)],
      ]);
    });
}
