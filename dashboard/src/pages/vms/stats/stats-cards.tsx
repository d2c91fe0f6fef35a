import type { Vm, VmStats } from "../../../../../src/contract/vm.ts";
import { useHistory } from "../../../api/use-history.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { Chart, Meter } from "../../../components/chart.tsx";
import { Stat } from "../../../components/page.tsx";
import { formatBytes, formatPercent } from "../../../format.ts";
import { vmPath } from "../api.ts";
import { useRates } from "./rates.ts";

/** What a VM uses, with its last minutes; looking is no use of the VM. */
export function StatsCards({ vm }: { vm: Vm }) {
  const isLive = vm.pid !== undefined;
  const { data: stats } = usePoll<VmStats>(vmPath(vm.id, "/stats"), 2_000);
  const rates = useRates(stats);
  const guest = stats?.guest;
  const usedMemory = guest && guest.memory.totalBytes - guest.memory.availableBytes;
  const usedDisk = guest && guest.disk.totalBytes - guest.disk.availableBytes;
  const traffic =
    rates?.receivedPerSecond === undefined ? undefined : rates.receivedPerSecond + (rates.sentPerSecond ?? 0);
  const cpu = useHistory(rates?.cpuShare, stats?.at);
  const memory = useHistory(usedMemory, stats?.at);
  const network = useHistory(traffic, stats?.at);
  const driveShare = stats === undefined ? 0 : stats.drive.allocatedBytes / Math.max(1, stats.drive.sizeBytes);
  return (
    <div className="stats-grid">
      <Stat
        label="CPU"
        value={rates === undefined ? "–" : formatPercent(rates.cpuShare)}
        note={
          guest === undefined
            ? isLive
              ? "of the host’s process"
              : "does not run"
            : `load ${guest.load1.toFixed(2)}, ${guest.processes} processes`
        }
      >
        <Chart
          label={`CPU over time, now ${rates === undefined ? "unknown" : formatPercent(rates.cpuShare)}`}
          samples={cpu}
          max={1}
        />
      </Stat>
      <Stat
        label="Memory"
        value={usedMemory === undefined ? "–" : formatBytes(usedMemory)}
        note={`of ${formatBytes(stats?.memoryBytes ?? vm.memoryMib * 1024 * 1024)}${stats?.vmm === undefined ? "" : `; ${formatBytes(stats.vmm.rssBytes)} on the host`}`}
      >
        <Chart
          label={`Memory over time, now ${usedMemory === undefined ? "unknown" : formatBytes(usedMemory)}`}
          samples={memory}
          max={stats?.memoryBytes ?? 0}
        />
      </Stat>
      <Stat
        label="Network"
        value={traffic === undefined ? "–" : `${formatBytes(traffic)}/s`}
        note={
          stats?.network === undefined
            ? vm.network.mode === "none"
              ? "it has none"
              : "nothing yet"
            : `${formatBytes(stats.network.receivedBytes)} in, ${formatBytes(stats.network.sentBytes)} out`
        }
      >
        <Chart label="Network traffic over time" samples={network} />
      </Stat>
      <Stat
        label="Disk"
        value={usedDisk === undefined ? formatBytes(stats?.drive.allocatedBytes ?? 0) : formatBytes(usedDisk)}
        note={
          stats === undefined
            ? ""
            : `${formatBytes(stats.drive.allocatedBytes)} on the host, at most ${formatBytes(stats.drive.sizeBytes)}`
        }
      >
        <Meter label="Disk space that it takes on the host" share={driveShare} />
      </Stat>
    </div>
  );
}
