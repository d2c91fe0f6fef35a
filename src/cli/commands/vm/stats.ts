import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { DaemonClient } from "../../../client/daemon-client.ts";
import type { VmStats } from "../../../contract/vm.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { formatBytes, printJson, printTable } from "../../output.ts";
import { parseDurationMs } from "../../parse.ts";

/** Between two looks: a share of the CPU is a difference. */
const SAMPLE_MS = 1_000;

export function addVmStats(parent: Command): void {
  const command = parent
    .command("stats")
    .description(
      "Show what VMs use: CPU, memory, disk and traffic. All VMs with a VMM when none is named. A suspended VM stays suspended.",
    )
    .argument("[vms...]", "names or ids")
    .option("-f, --follow", "go on, every second or every --interval")
    .option("--interval <time>", "how often, such as 5s", "1s")
    .action(async (names: string[], options: { follow?: boolean; interval: string }) => {
      const intervalMs = parseDurationMs("--interval", options.interval);
      const { client, asJson } = await openContext(command);
      let before = await readAll(client, names);
      do {
        await sleep(options.follow ? intervalMs : SAMPLE_MS);
        const now = await readAll(client, names);
        if (asJson && options.follow) process.stdout.write(`${JSON.stringify({ stats: now })}\n`);
        else if (asJson) printJson({ stats: now });
        else print(before, now);
        before = now;
      } while (options.follow);
    });
}

async function readAll(client: DaemonClient, names: string[]): Promise<VmStats[]> {
  const isAll = names.length === 0;
  const wanted = isAll ? (await client.vms.list()).filter((vm) => vm.pid !== undefined).map((vm) => vm.id) : names;
  const read = wanted.map((vm) =>
    client.vms.stats(vm).catch((error: unknown) => {
      // It was there when all were listed.
      if (isAll && error instanceof FirebreakError && error.code === "VM_NOT_FOUND") return undefined;
      throw error;
    }),
  );
  return (await Promise.all(read)).filter((stats) => stats !== undefined);
}

function print(before: VmStats[], now: VmStats[]): void {
  printTable(
    ["NAME", "STATE", "CPU", "MEMORY USED", "HOST MEMORY", "DISK USED", "HOST DISK", "RECEIVED", "SENT", "PROCESSES"],
    now.map((stats) => [
      stats.vm,
      stats.state,
      cpuShare(
        before.find(({ vm }) => vm === stats.vm),
        stats,
      ),
      stats.guest === undefined ? "-" : usedOf(stats.guest.memory),
      stats.vmm === undefined ? "-" : formatBytes(stats.vmm.pssBytes ?? stats.vmm.rssBytes),
      stats.guest === undefined ? "-" : usedOf(stats.guest.disk),
      formatBytes(stats.drive.allocatedBytes),
      stats.channel === undefined
        ? "-"
        : formatBytes(stats.channel.receivedBytes + (stats.network?.receivedBytes ?? 0)),
      stats.channel === undefined ? "-" : formatBytes(stats.channel.sentBytes + (stats.network?.sentBytes ?? 0)),
      stats.guest === undefined ? "-" : String(stats.guest.processes),
    ]),
  );
}

/** Of one host CPU, in percent, between the two looks. */
function cpuShare(before: VmStats | undefined, now: VmStats): string {
  if (before?.vmm === undefined || now.vmm === undefined || now.vmm.cpuMs < before.vmm.cpuMs) return "-";
  const tookMs = Date.parse(now.at) - Date.parse(before.at);
  return tookMs <= 0 ? "-" : `${(((now.vmm.cpuMs - before.vmm.cpuMs) / tookMs) * 100).toFixed(1)} %`;
}

function usedOf({ totalBytes, availableBytes }: { totalBytes: number; availableBytes: number }): string {
  return `${formatBytes(totalBytes - availableBytes)} of ${formatBytes(totalBytes)}`;
}
