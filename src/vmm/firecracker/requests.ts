import type { MachineConfig, VmmConfig, VmmDrive } from "../driver.ts";
import type { ApiRequest } from "./api-client.ts";
import { driveFile, driveId, FIRECRACKER_FILES, GUEST_CID } from "./layout.ts";
import type { FirecrackerFeatures } from "./release/version.ts";

/** How fast a drive or card may be, on average; what is unset is unlimited. */
export interface RateLimit {
  bytesPerSecond?: number;
  operationsPerSecond?: number;
}

/** A modifier of what the guest sees of its CPU, as `PUT /cpu-config` takes it. */
export type CpuConfig = Record<string, unknown>;

/** What an operator may choose that is no property of a VM; all of it is part of a snapshot. */
export interface FirecrackerTuning {
  /** By drive serial. */
  driveLimits?: Record<string, RateLimit>;
  cardLimit?: RateLimit;
  /** One of Firecracker's own templates; it calls them deprecated in favour of `cpuConfig`. */
  cpuTemplate?: "C3" | "T2" | "T2S" | "T2CL" | "T2A" | "V1N1";
  cpuConfig?: CpuConfig;
  /** 2 MiB pages of the host's hugetlbfs pool, which an operator has to have filled. */
  hugePages?: boolean;
  /** A balloon, by which the guest gives back memory that it does not use. It stays empty: nothing is taken from a guest. */
  balloon?: boolean;
}

/** What a boot configures, in the order in which it is sent; the last one starts the machine. */
export function bootRequests(
  config: VmmConfig,
  features: FirecrackerFeatures,
  tuning: FirecrackerTuning = {},
): ApiRequest[] {
  return [
    ...consoleRequests(features),
    machineRequest(config, tuning),
    ...(tuning.cpuConfig === undefined ? [] : [put("/cpu-config", tuning.cpuConfig)]),
    put("/boot-source", {
      kernel_image_path: FIRECRACKER_FILES.kernel,
      initrd_path: FIRECRACKER_FILES.initrd,
      boot_args: kernelCommandLine(config, features, tuning),
    }),
    ...config.drives.map((drive) => driveRequest(drive, tuning)),
    put("/vsock", { guest_cid: GUEST_CID, uds_path: FIRECRACKER_FILES.vsock }),
    put("/entropy", {}),
    ...(hasBalloon(features, tuning)
      ? [put("/balloon", { amount_mib: 0, deflate_on_oom: true, free_page_reporting: true })]
      : []),
    ...cardRequests(config, tuning),
    put("/actions", { action_type: "InstanceStart" }),
  ];
}

/** Loads a saved machine into a fresh Firecracker; the last one has it go on. Devices are those of the snapshot: only what is outside of it is named anew. */
export function restoreRequests(config: Pick<MachineConfig, "card">, features: FirecrackerFeatures): ApiRequest[] {
  const { card } = config;
  return [
    ...consoleRequests(features),
    put("/snapshot/load", {
      snapshot_path: FIRECRACKER_FILES.state,
      // A private mapping: the file stays what was saved, for the next one.
      mem_backend: { backend_type: "File", backend_path: FIRECRACKER_FILES.memory },
      resume_vm: false,
      ...(features.hasVsockOverride && { vsock_override: { uds_path: FIRECRACKER_FILES.vsock } }),
      ...(features.hasClockRealtime && process.arch === "x64" && { clock_realtime: true }),
      ...(card?.kind === "tap" && { network_overrides: [{ iface_id: CARD_ID, host_dev_name: card.device }] }),
    }),
    stateRequest("Resumed"),
  ];
}

/** Saves a paused machine. */
export function saveRequest(files: { memory: string; state: string }): ApiRequest {
  return put("/snapshot/create", {
    snapshot_type: "Full",
    mem_file_path: files.memory,
    snapshot_path: files.state,
  });
}

export function stateRequest(state: "Paused" | "Resumed"): ApiRequest {
  return { method: "PATCH", path: "/vm", body: { state } };
}

/** Has a running machine look at a drive's file again, which has another size. */
export function driveFileRequest(serial: string): ApiRequest {
  const drive_id = driveId(serial);
  return { method: "PATCH", path: `/drives/${drive_id}`, body: { drive_id, path_on_host: driveFile(serial) } };
}

const CARD_ID = "card";
/** The same for every guest: it is told another one after each restore. */
const CARD_MAC = "0a:fb:00:00:00:00";

function put(path: string, body: Record<string, unknown>): ApiRequest {
  return { method: "PUT", path, body };
}

/** Console output beyond this is dropped by Firecracker: a guest must not fill the host's disk. A burst for the boot, then a trickle. */
const CONSOLE_LIMIT = { size: 64 * 1024, one_time_burst: 1024 * 1024, refill_time: 1000 };

function consoleRequests(features: FirecrackerFeatures): ApiRequest[] {
  if (!features.hasSerialPath) return [];
  return [
    put("/serial", {
      serial_out_path: FIRECRACKER_FILES.console,
      ...(features.hasSerialLimit && { rate_limiter: CONSOLE_LIMIT }),
    }),
  ];
}

function machineRequest(config: MachineConfig, tuning: FirecrackerTuning): ApiRequest {
  return put("/machine-config", {
    vcpu_count: config.cpus,
    mem_size_mib: config.memoryMib,
    smt: false,
    track_dirty_pages: false,
    ...(tuning.cpuTemplate !== undefined && { cpu_template: tuning.cpuTemplate }),
    ...(tuning.hugePages === true && { huge_pages: "2M" }),
  });
}

function driveRequest(drive: VmmDrive, tuning: FirecrackerTuning): ApiRequest {
  const limit = tuning.driveLimits?.[drive.serial];
  return put(`/drives/${driveId(drive.serial)}`, {
    drive_id: driveId(drive.serial),
    path_on_host: driveFile(drive.serial),
    // The guest mounts its root by itself. One that is a root device would be moved to the front.
    is_root_device: false,
    is_read_only: drive.readOnly,
    // A VM's own drives go with it, as the other driver has it: a flush need not reach the host's disk.
    cache_type: "Unsafe",
    io_engine: "Sync",
    ...(limit !== undefined && { rate_limiter: rateLimiter(limit) }),
  });
}

function cardRequests(config: MachineConfig, tuning: FirecrackerTuning): ApiRequest[] {
  const { card } = config;
  if (card?.kind !== "tap") return [];
  const limit = tuning.cardLimit && rateLimiter(tuning.cardLimit);
  return [
    put(`/network-interfaces/${CARD_ID}`, {
      iface_id: CARD_ID,
      host_dev_name: card.device,
      guest_mac: CARD_MAC,
      ...(limit !== undefined && { rx_rate_limiter: limit, tx_rate_limiter: limit }),
    }),
  ];
}

/** One whose guest cannot say what it does not use would be of no use. */
function hasBalloon(features: FirecrackerFeatures, tuning: FirecrackerTuning): boolean {
  return tuning.balloon === true && features.hasPageReporting;
}

/** A bucket that holds a second's worth, refilled within a second. */
function rateLimiter(limit: RateLimit): Record<string, unknown> {
  const bucket = (size: number) => ({ size, refill_time: 1000 });
  return {
    ...(limit.bytesPerSecond !== undefined && { bandwidth: bucket(limit.bytesPerSecond) }),
    ...(limit.operationsPerSecond !== undefined && { ops: bucket(limit.operationsPerSecond) }),
  };
}

/**
 * Firecracker's own default has `nomodule`, with which a stock kernel finds no device, and is taken when none is given. `reboot=k panic=-1`: a guest
 * that panics or reboots resets by the keyboard controller, which ends the VMM. ACPI tells of the devices, so nothing about them is said here.
 */
function kernelCommandLine(config: VmmConfig, features: FirecrackerFeatures, tuning: FirecrackerTuning): string {
  const order = config.drives.map((drive) => drive.serial).join(",");
  // Without a file of its own the console is Firecracker's output, which the guest could fill a disk by: it has none then.
  const console = features.hasSerialPath ? ["console=ttyS0"] : ["8250.nr_uarts=0"];
  return [
    ...console,
    "quiet",
    "loglevel=4",
    "reboot=k",
    "panic=-1",
    "random.trust_cpu=on",
    "i8042.noaux",
    "i8042.nomux",
    "i8042.dumbkbd",
    "firebreak.channel=vsock",
    `firebreak.drives=${order}`,
    ...(hasBalloon(features, tuning) ? ["firebreak.balloon"] : []),
    ...config.kernelArgs,
  ].join(" ");
}

/** All of a machine that its guest can see but for its size and its drives' number. */
export function describeMachine(tuning: FirecrackerTuning): string {
  const { cpuTemplate, cpuConfig, hugePages, balloon, driveLimits, cardLimit } = tuning;
  const tuned = [cpuTemplate, cpuConfig, hugePages, balloon, driveLimits, cardLimit];
  return `acpi vsock entropy ${JSON.stringify(tuned)} ${FIRECRACKER_FILES.vsock}`;
}
