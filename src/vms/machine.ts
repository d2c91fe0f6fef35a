import path from "node:path";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { AccelName, AttachedDrive, MachineConfig, NetworkCard } from "../vmm/driver.ts";
import type { VmRecord } from "./vm-store.ts";

/** The machine of a VM. What was saved of one is restored only into an equal one. */
export function machineOf(
  record: VmRecord,
  paths: FirebreakPaths,
  rootfsPath: string,
  accel: AccelName,
  /** Of one that is saved with its drives, or restored. */
  attached: AttachedDrive[] = [],
  /** Of one that starts or is restored with a way out by it. */
  card?: NetworkCard,
): MachineConfig {
  return {
    vmId: record.id,
    memoryMib: record.memoryMib,
    cpus: record.cpus,
    accel,
    drives: [
      { serial: "image", path: rootfsPath, readOnly: true },
      { serial: "overlay", path: overlayPath(record, paths), readOnly: false },
    ],
    attached,
    ...(card === undefined ? {} : { card }),
    runtimeDir: path.join(paths.runtime, "v", record.id),
    exchangeDir: exchangeDirOf(record, paths),
    logPath: path.join(vmDir(record, paths), "vmm.log"),
    uid: record.uid,
  };
}

export function exchangeDirOf(record: Pick<VmRecord, "id">, paths: FirebreakPaths): string {
  return path.join(vmDir(record, paths), "exchange");
}

export function vmDir(record: Pick<VmRecord, "id">, paths: FirebreakPaths): string {
  return path.join(paths.vms, record.id);
}

export function overlayPath(record: Pick<VmRecord, "id">, paths: FirebreakPaths): string {
  return path.join(vmDir(record, paths), "overlay.ext4");
}

export function consoleLogPath(record: Pick<VmRecord, "id">, paths: FirebreakPaths): string {
  return path.join(vmDir(record, paths), "console.log");
}
