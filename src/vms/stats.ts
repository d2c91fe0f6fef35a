import { stat } from "node:fs/promises";
import type { VmStats } from "../contract/vm.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { readProcessUsage } from "../platform/process-usage.ts";
import type { LiveVm } from "./live-vm.ts";
import { overlayPath } from "./machine.ts";
import type { NetworkHooks } from "./ports.ts";
import type { VmRecord } from "./vm-store.ts";

/** Figures are not worth waiting for longer: a guest that hangs has none. */
const GUEST_DEADLINE_MS = 5_000;
/** st_blocks counts these, whatever the file system's own blocks are (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/** What a VM uses, as its guest and as the host sees it. Looking is no use of the VM: a suspended one stays so. */
export async function readVmStats(
  record: VmRecord,
  live: LiveVm | undefined,
  { paths, network }: { paths: FirebreakPaths; network?: Pick<NetworkHooks, "traffic"> },
): Promise<VmStats> {
  const [guest, vmm, drive, traffic] = await Promise.all([
    record.state === "running"
      ? live?.client.stats({ deadlineMs: GUEST_DEADLINE_MS }).catch(() => undefined)
      : undefined,
    record.vmm === undefined ? undefined : readProcessUsage(record.vmm.pid),
    stat(overlayPath(record, paths)).catch(() => undefined),
    live === undefined ? undefined : network?.traffic(record.id),
  ]);
  return {
    vm: record.name,
    state: record.state,
    at: new Date().toISOString(),
    cpus: record.cpus,
    memoryBytes: record.memoryMib * 1024 * 1024,
    drive: { sizeBytes: record.diskMib * 1024 * 1024, allocatedBytes: (drive?.blocks ?? 0) * STAT_BLOCK_BYTES },
    ...(live === undefined ? {} : { channel: live.connection.traffic }),
    ...(traffic === undefined ? {} : { network: traffic }),
    ...(vmm === undefined ? {} : { vmm }),
    ...(guest === undefined ? {} : { guest }),
  };
}
