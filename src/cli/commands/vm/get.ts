import type { Command } from "commander";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatAge, formatBytes, printJson } from "../../output.ts";

export function addVmGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one VM: what it is made of, its state, and what it uses.")
    .argument("<vm>", "name or id")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const vm = await client.vmGet(name);
      const stats = vm.state === "running" ? await client.vmStats(vm.name).catch(() => undefined) : undefined;
      if (asJson) return printJson({ ...vm, ...(stats === undefined ? {} : { stats }) });
      const rows: [string, string | undefined][] = [
        ["name", vm.name],
        ["id", vm.id],
        ["state", vm.reason === undefined ? vm.state : `${vm.state}: ${vm.reason}`],
        ["image", `${vm.image} (${vm.imageDigest.slice(0, 19)})`],
        ["memory", `${vm.memoryMib} MiB`],
        ["cpus", String(vm.cpus)],
        ["disk", `${vm.diskMib} MiB`],
        ["driver", vm.pid === undefined ? vm.driver : `${vm.driver}, process ${vm.pid}`],
        ["accel", vm.accelReason === undefined ? vm.accel : `${vm.accel} (${vm.accelReason})`],
        ["created", `${vm.createdAt} (${formatAge(vm.createdAt)} ago)`],
        ["ready after", vm.bootMs === undefined ? undefined : `${vm.bootMs} ms`],
      ];
      if (stats !== undefined) {
        rows.push([
          "memory used",
          `${formatBytes(stats.memory.totalBytes - stats.memory.availableBytes)} of ${formatBytes(stats.memory.totalBytes)}`,
        ]);
        rows.push([
          "disk used",
          `${formatBytes(stats.disk.totalBytes - stats.disk.availableBytes)} of ${formatBytes(stats.disk.totalBytes)}`,
        ]);
        rows.push(["processes", String(stats.processes)]);
      }
      for (const [label, value] of rows)
        if (value !== undefined) process.stdout.write(`${label.padEnd(12)} ${stripControl(value)}\n`);
    });
}
