import type { Socket } from "node:net";

/** The port to one VMM. Every driver and fake passes driver.contract.ts. */

export type AccelName = "kvm" | "tcg";
export type AccelRequest = AccelName | "auto";

/** Who may decide on the accelerator, and why it is what it is. */
export interface AccelVerdict {
  accel: AccelName;
  /** Why not KVM, for people; undefined when it is KVM. */
  reason?: string;
  /** True when this call ran the probe, false when its verdict was cached. */
  isFresh: boolean;
}

export interface BootFiles {
  /** Host paths, readable by the VMM's user through an inherited descriptor. */
  kernelPath: string;
  initrdPath: string;
}

export interface VmmDrive {
  /** The virtio serial by which the guest finds it: at most 20 bytes. */
  serial: string;
  path: string;
  readOnly: boolean;
}

export interface VmmConfig extends BootFiles {
  vmId: string;
  memoryMib: number;
  cpus: number;
  accel: AccelName;
  /** Kernel parameters besides the driver's own. */
  kernelArgs: string[];
  drives: VmmDrive[];
  /** A folder for sockets, made and removed by the driver. Short: socket paths end at 107 bytes. */
  runtimeDir: string;
  /** The VMM's own output goes here. */
  logPath: string;
  /** Which unprivileged user the VMM runs as, where the daemon is root; ignored otherwise. */
  uid: number;
}

/** A running VMM as the store keeps it: enough to find it again from another daemon. */
export interface VmmRecord {
  driver: string;
  driverVersion: string;
  accel: AccelName;
  pid: number;
  startTicks: number;
  bootId: string;
  runtimeDir: string;
  logPath: string;
}

export interface VmmExit {
  /** The guest powered itself off, in order. */
  isGuestShutdown: boolean;
  message: string;
}

export interface VmmDriver {
  readonly name: string;
  /** Version of the VMM program. Throws VMM_NOT_FOUND. */
  version(): Promise<string>;
  /** Decides by a functional probe, cached; throws ACCEL_UNAVAILABLE when `kvm` is asked for and does not work. */
  chooseAccel(request: AccelRequest, boot: BootFiles, signal?: AbortSignal): Promise<AccelVerdict>;
  /** Starts a detached VMM. Throws VMM_START_FAILED with the VMM's last words. */
  start(config: VmmConfig, signal?: AbortSignal): Promise<VmmRecord>;
  /** Opens the byte stream of the channel anew. Throws VM_CRASHED when the VMM is gone. */
  openChannel(record: VmmRecord, signal: AbortSignal): Promise<Socket>;
  /** Opens the guest's console; what nobody reads is lost, and never blocks the guest. */
  openConsole(record: VmmRecord, signal: AbortSignal): Promise<Socket>;
  isAlive(record: VmmRecord): Promise<boolean>;
  /** Resolves when the VMM is gone, within 1 s of it. */
  waitForExit(record: VmmRecord, signal: AbortSignal): Promise<void>;
  /** Why the VMM ended, once it has. */
  describeExit(record: VmmRecord): Promise<VmmExit>;
  /** Ends the VMM at once (SIGKILL) and removes its sockets. Resolves when it is gone. */
  kill(record: VmmRecord): Promise<void>;
  /** Ends a VMM that was started with this runtime folder, if one is left, though nobody noted its record. */
  killUnrecorded(runtimeDir: string): Promise<void>;
  /** The VMM's last output, for a crash's reason. */
  readLogTail(record: VmmRecord): Promise<string>;
}
