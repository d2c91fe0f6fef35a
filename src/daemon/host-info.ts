import { statfs } from "node:fs/promises";
import os from "node:os";
import type { HostInfo } from "../contract/host.ts";
import type { DriverRequest } from "../contract/vm.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { VmService } from "../vms/service.ts";

export interface HostInfoOptions {
  version: string;
  home: string;
  drivers: VmmDrivers;
  defaultDriver: () => DriverRequest;
  vms: VmService;
}

/** What this host is, has and has left. */
export async function readHostInfo({ version, home, drivers, defaultDriver, vms }: HostInfoOptions): Promise<HostInfo> {
  const disk = await statfs(home);
  const versions = await Promise.all(
    drivers.all.map(async (driver) => ({ name: driver.name, version: await driver.version().catch(() => undefined) })),
  );
  const cpus = os.cpus();
  const list = vms.list();
  return {
    version,
    arch: os.arch(),
    kernel: os.release(),
    cpus: cpus.length,
    cpuModel: cpus[0]?.model ?? "unknown",
    load1: os.loadavg()[0] ?? 0,
    memory: { totalBytes: os.totalmem(), availableBytes: os.freemem() },
    disk: { totalBytes: disk.blocks * disk.bsize, availableBytes: disk.bavail * disk.bsize },
    driver: defaultDriver(),
    drivers: versions.flatMap(({ name, version: found }) => (found === undefined ? [] : [{ name, version: found }])),
    vms: { total: list.length, running: list.filter(({ state }) => state === "running").length },
  };
}
