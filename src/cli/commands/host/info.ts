import type { Command } from "commander";
import { openContext } from "../../context.ts";
import { formatBytes, printFacts, printJson } from "../../output.ts";

export function addHostInfo(parent: Command): void {
  const command = parent
    .command("info")
    .description("Show what the machine that runs the VMs has, and what of it is free.")
    .action(async () => {
      const { client, asJson } = await openContext(command);
      const info = await client.hostInfo();
      if (asJson) return printJson(info);
      const room = ({ totalBytes, availableBytes }: { totalBytes: number; availableBytes: number }) =>
        `${formatBytes(totalBytes)}, ${formatBytes(availableBytes)} free`;
      printFacts([
        ["firebreak", info.version],
        ["machine", `${info.arch}, Linux ${info.kernel}`],
        ["cpus", `${info.cpus} (${info.cpuModel}), load ${info.load1.toFixed(2)}`],
        ["memory", room(info.memory)],
        ["disk", room(info.disk)],
        [
          "vmm",
          `${info.drivers.map(({ name, version }) => `${name} ${version}`).join(", ") || "none installed"} (driver: ${info.driver})`,
        ],
        ["vms", `${info.vms.total}, ${info.vms.running} running`],
      ]);
    });
}
