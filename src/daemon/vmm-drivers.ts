import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { DRIVER_REQUESTS, type DriverRequest } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { configError } from "../gateway/config/document.ts";
import { agentBinaryPath } from "../platform/package-files.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import { VmmDrivers } from "../vmm/drivers.ts";
import { FirecrackerDriver, type FirecrackerSettings } from "../vmm/firecracker/driver.ts";
import type { CpuConfig, FirecrackerTuning, RateLimit } from "../vmm/firecracker/requests.ts";
import { QemuDriver } from "../vmm/qemu/driver.ts";
import { FIRST_VM_UID } from "../vms/from-request.ts";
import { type Config, watchConfig } from "./config.ts";

export interface DriverSettings {
  paths: FirebreakPaths;
  configFile: string;
  env: NodeJS.ProcessEnv;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** All drivers that this daemon has, in the order in which `auto` tries them, and which a VM gets that says none. Throws INVALID_ARGUMENT for FIREBREAK_DRIVER. */
export function createDrivers({ paths, configFile, env, log }: DriverSettings): {
  drivers: VmmDrivers;
  defaultDriver: () => DriverRequest;
} {
  const agentPath = agentBinaryPath();
  const probeRuntimeDir = probeFolder(paths);
  const qemu = new QemuDriver({
    cachePath: path.join(paths.home, "accel.json"),
    agentPath,
    probeRuntimeDir,
    probeUid: FIRST_VM_UID - 1,
    ...(env.FIREBREAK_QEMU ? { program: env.FIREBREAK_QEMU } : {}),
  });
  const firecracker = new FirecrackerDriver({
    agentPath,
    kernelFolder: path.join(paths.home, "vmm", "kernels"),
    probeRuntimeDir,
    probeLogPath: path.join(paths.home, "vmm", "probe", "vmm.log"),
    probeUid: FIRST_VM_UID - 1,
    home: paths.home,
    ...(env.FIREBREAK_FIRECRACKER ? { program: env.FIREBREAK_FIRECRACKER } : {}),
    ...(env.FIREBREAK_JAILER ? { jailer: env.FIREBREAK_JAILER } : {}),
    settings: watchConfig(configFile, (config) => toFirecrackerSettings(config, configFile), log),
  });
  const asked = parseRequest(env.FIREBREAK_DRIVER);
  const configured = watchConfig(configFile, (config) => config.vms?.driver ?? "auto", log);
  return { drivers: new VmmDrivers([firecracker, qemu]), defaultDriver: () => asked ?? configured() };
}

/** Where the drivers' probes have their sockets. */
export function probeFolder(paths: FirebreakPaths): string {
  return path.join(paths.runtime, "probe");
}

function parseRequest(value: string | undefined): DriverRequest | undefined {
  if (value === undefined || value === "") return undefined;
  const found = DRIVER_REQUESTS.find((request) => request === value);
  if (found !== undefined) return found;
  throw new FirebreakError("INVALID_ARGUMENT", `FIREBREAK_DRIVER is ${DRIVER_REQUESTS.join(", ")}, not '${value}'`);
}

/** `[firecracker]`. Throws CONFIG_INVALID. */
function toFirecrackerSettings({ firecracker: table = {} }: Config, file: string): FirecrackerSettings {
  const drive = toLimit(table.drive_bytes_per_second, table.drive_operations_per_second);
  const card = toLimit(table.card_bytes_per_second, undefined);
  const tuning: FirecrackerTuning = {
    ...(drive === undefined ? {} : { driveLimits: { image: drive, overlay: drive } }),
    ...(card === undefined ? {} : { cardLimit: card }),
    ...(table.cpu_template === undefined ? {} : { cpuTemplate: table.cpu_template }),
    ...(table.cpu_config === undefined ? {} : { cpuConfig: readCpuConfig(table.cpu_config, file) }),
    ...(table.huge_pages === undefined ? {} : { hugePages: table.huge_pages }),
    ...(table.balloon === undefined ? {} : { balloon: table.balloon }),
  };
  return { tuning, allowUnjailed: table.allow_unjailed ?? false, parentCgroup: table.parent_cgroup ?? "firebreak" };
}

function toLimit(bytesPerSecond: number | undefined, operationsPerSecond: number | undefined): RateLimit | undefined {
  if (bytesPerSecond === undefined && operationsPerSecond === undefined) return undefined;
  return {
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(operationsPerSecond === undefined ? {} : { operationsPerSecond }),
  };
}

/** Firecracker itself takes no request above 50 KiB. */
const MAX_CPU_CONFIG_BYTES = 1024 * 1024;

function readCpuConfig(name: string, file: string): CpuConfig {
  const key = "firecracker.cpu_config";
  try {
    // A pipe or a device would keep the daemon reading for good.
    const found = statSync(name);
    if (!found.isFile() || found.size > MAX_CPU_CONFIG_BYTES) throw new Error("it is no file of that kind");
    const parsed: unknown = JSON.parse(readFileSync(name, "utf8"));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as CpuConfig;
  } catch (error) {
    throw configError({ file, key }, `${name} cannot be read: ${(error as Error).message}`);
  }
  throw configError({ file, key }, `${name} is no JSON object, as Firecracker's PUT /cpu-config takes it`);
}
