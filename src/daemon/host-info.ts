import { statfs } from "node:fs/promises";
import os from "node:os";
import type { HostInfo } from "../contract/host.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import type { VmService } from "../vms/service.ts";

export interface HostInfoOptions {
  version: string;
  home: string;
  driver: VmmDriver;
  vms: VmService;
}

/** What this host is, has and has left. */
export async function readHostInfo({ version, home, driver, vms }: HostInfoOptions): Promise<HostInfo> {
  const disk = await statfs(home);
  const driverVersion = await driver.version().catch(() => undefined);
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
    driver: driver.name,
    ...(driverVersion === undefined ? {} : { driverVersion }),
    vms: { total: list.length, running: list.filter(({ state }) => state === "running").length },
  };
}
