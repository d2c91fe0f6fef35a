import type { FirebreakPaths } from "../platform/paths.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { Disk } from "../snapshots/ports.ts";
import type { Staged } from "../snapshots/saved-folder.ts";
import type { AttachedDrive, SaveTarget } from "../vmm/driver.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { LiveVm } from "./live-vm.ts";
import { machineOf } from "./machine.ts";
import type { BootSource } from "./ports.ts";
import type { VmRecord } from "./vm-store.ts";

export interface SaveVmOptions {
  paths: FirebreakPaths;
  drivers: VmmDrivers;
  source: BootSource;
  disk: Disk;
  id: string;
  /** What becomes of the VM; one that ends keeps its drive, which is not copied then. */
  afterwards: SaveTarget["afterwards"];
  name?: string;
  /** Drives that are part of the machine that is saved. */
  devices?: AttachedDrive[];
  signal?: AbortSignal;
}

/** What a guest's agent can do. */
export async function describeAgent({ client, connection }: LiveVm): Promise<Manifest["agent"]> {
  const { features } = await client.hello();
  return { generation: connection.generation, features };
}

/** Saves a running or paused VM into a staged folder: memory, devices and, unless it ends, its drive as they were at one moment. */
export async function saveVm(
  record: VmRecord,
  live: LiveVm,
  staged: Staged,
  options: SaveVmOptions,
): Promise<Manifest> {
  const { paths, disk, afterwards } = options;
  const driver = options.drivers.of(live.vmm);
  const image = await options.source.resolveImage(record.imageDigest, {});
  const machine = machineOf(record, paths, image.rootfsPath, live.vmm.accel, options.devices);
  const host = await driver.describeHost(live.vmm.accel);
  const agent = record.agent ?? (await describeAgent(live));
  const isCopied = afterwards !== "end";
  const target: SaveTarget = {
    memoryPath: staged.memoryPath,
    statePath: staged.statePath,
    scratchDir: staged.folder,
    copies: isCopied ? [{ serial: "overlay", path: staged.overlayPath }] : [],
    afterwards,
  };
  const result = await driver.save(live.vmm, machine, target, options.signal);
  return {
    format: 1,
    id: options.id,
    ...(options.name === undefined ? {} : { name: options.name }),
    createdAt: new Date().toISOString(),
    machine: {
      memoryMib: record.memoryMib,
      cpus: record.cpus,
      diskMib: record.diskMib,
      driver: driver.name,
      driverVersion: live.vmm.driverVersion,
      accel: live.vmm.accel,
    },
    host,
    image: record.image,
    imageDigest: record.imageDigest,
    kernelId: record.kernelId,
    agent,
    memory: { sha256: result.memorySha256, dataBytes: result.memoryDataBytes },
    state: { sha256: result.stateSha256, sizeBytes: result.stateSizeBytes },
    ...(isCopied ? { overlay: await disk.digest(staged.overlayPath) } : {}),
    policy: record.policy,
    vm: {
      id: record.id,
      name: record.name,
      env: record.env,
      ...(record.secrets.length === 0 ? {} : { secrets: record.secrets }),
      ...(record.authority === undefined ? {} : { authority: record.authority }),
      ...(record.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: record.idleTimeoutMs }),
    },
    ...(record.snapshot === undefined ? {} : { parent: record.snapshot }),
    stoppedMs: Math.round(result.stoppedMs),
  };
}
