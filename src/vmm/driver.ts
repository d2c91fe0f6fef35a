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
  /** Kernel parameters besides the driver's own. */
  kernelArgs: string[];
}

export interface VmmDrive {
  /** The virtio serial by which the guest finds it: at most 20 bytes. */
  serial: string;
  path: string;
  readOnly: boolean;
}

/** A drive that comes and goes while its machine runs. */
export interface AttachedDrive extends VmmDrive {
  /** By this its guest tells it from the others: 1 to 36 of a-z, 0-9 and '-'. */
  serial: string;
  /** Its place at the machine's controller, 0 to MAX_ATTACHED_DRIVES - 1 (src/contract/drive.ts); no two of a machine share one. */
  slot: number;
}

/** What a machine's network card is plugged into: a TAP device of the host or of a network namespace (its path), in which the VMM is then; or networking within the VMM itself. */
export type NetworkCard = { kind: "tap"; device: string; namespace?: string } | { kind: "user" };

/** What a VMM is made of, however its guest gets into it. A saved machine is restored only into an equal one. */
export interface MachineConfig {
  vmId: string;
  memoryMib: number;
  cpus: number;
  accel: AccelName;
  drives: VmmDrive[];
  /** Those that had come when a machine was saved, which are restored with it; a machine that starts has none. */
  attached?: AttachedDrive[];
  /** Every machine has a card, so that all can be restored from one template; without this it is plugged into nothing. */
  card?: NetworkCard;
  /** A folder for sockets, made and removed by the driver. Short: socket paths end at 107 bytes. */
  runtimeDir: string;
  /** The VMM's own output goes here. */
  logPath: string;
  /**
   * A folder of the driver's own on the drives' file system, in which copies of them are made and through which they are attached;
   * without one neither can be done.
   */
  exchangeDir?: string;
  /** Which unprivileged user the VMM runs as, where the daemon is root; ignored otherwise. */
  uid: number;
}

/** A machine that boots. */
export interface VmmConfig extends MachineConfig, BootFiles {
  /** Kernel parameters besides the driver's own. */
  kernelArgs: string[];
  /** It is booted to be saved once, and ends with that: saving it need not copy its memory twice. */
  isTemplate?: boolean;
}

/** A saved machine's memory and devices, in files of the driver's own format. Drives are the caller's. */
export interface SavedMachine {
  memoryPath: string;
  /** Digest of the memory as `firebreak-agent digest-memory` defines it: checked before anything runs. */
  memorySha256: string;
  statePath: string;
  stateSha256: string;
}

/** A copy of one of a machine's drives, to be made. */
export interface DriveCopy {
  serial: string;
  path: string;
}

export interface SaveTarget {
  /** Files to be made; they exist, or not, when the call has failed. */
  memoryPath: string;
  statePath: string;
  /** A folder that the driver may put scratch files in; the caller removes it. */
  scratchDir: string;
  /** Drives to be copied as they are at the moment that is saved. */
  copies: DriveCopy[];
  /** What becomes of the VM afterwards: a template's is always `end`. */
  afterwards: "continue" | "stay_paused" | "end";
}

export interface SaveResult {
  memorySha256: string;
  /** Memory that holds anything, bytes. */
  memoryDataBytes: number;
  stateSha256: string;
  stateSizeBytes: number;
  /** How long the guest stood still, ms; all of its remaining life for one that ended. */
  stoppedMs: number;
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

/** What not every driver can do. */
export interface VmmAbilities {
  /** Its VMMs are each in a network namespace of their own, in which their TAP device has to be. */
  hasNetworkNamespace: boolean;
  /** Drives come and go while a machine runs. */
  hasHotplug: boolean;
  /** Cards of the kind `user`: networking within the VMM itself. */
  hasUserCard: boolean;
  /** Machines can be saved, and restored. */
  canSave: boolean;
  /** What keeps them from it that is set, and not the VMM's. */
  whyNotSaved?: string;
  /** A machine that was saved without a plugged-in card can be restored with one. */
  plugsAtRestore: boolean;
}

export interface VmmDriver {
  readonly name: string;
  /** Throws what keeps it from starting anything on this host, but for the accelerator: VMM_NOT_FOUND, VMM_START_FAILED. */
  check(): Promise<void>;
  abilities(): Promise<VmmAbilities>;
  /** Version of the VMM program. Throws VMM_NOT_FOUND. */
  version(): Promise<string>;
  /** Decides by a functional probe, cached; throws ACCEL_UNAVAILABLE when `kvm` is asked for and does not work. */
  chooseAccel(request: AccelRequest, boot: BootFiles, signal?: AbortSignal): Promise<AccelVerdict>;
  /** Starts a detached VMM. Throws VMM_START_FAILED with the VMM's last words. */
  start(config: VmmConfig, signal?: AbortSignal): Promise<VmmRecord>;
  /**
   * Starts a detached VMM that goes on where a saved machine stood, with a private copy of its memory. Resolves when the VMM loads it.
   * Throws SNAPSHOT_CORRUPT before anything starts when the memory is not what was saved, VMM_START_FAILED otherwise.
   */
  restore(config: MachineConfig, saved: SavedMachine, signal?: AbortSignal): Promise<VmmRecord>;
  /** Has a saved machine ready for its restore, and with that compares it with its digests. Throws SNAPSHOT_CORRUPT. */
  prepare(saved: SavedMachine): Promise<void>;
  /** Saves a running or paused machine, which goes on if the save fails. Throws SNAPSHOT_FAILED, VM_CRASHED, HOST_DISK_FULL. */
  save(record: VmmRecord, config: MachineConfig, target: SaveTarget, signal?: AbortSignal): Promise<SaveResult>;
  /** Lets go of what is kept in memory of a saved machine, so that its next restore is quick. */
  release(memorySha256: string): void;
  /** What a saved machine depends on besides its configuration: it is restored only where the words are equal and the numbers nearly. */
  describeHost(accel: AccelName): Promise<Record<string, string | number>>;
  pause(record: VmmRecord): Promise<void>;
  resume(record: VmmRecord): Promise<void>;
  /**
   * Calls when a machine stands still since the host's disk has no room for what its guest writes, and once now if it does. Nothing is lost of that:
   * `resume` has it written again. Returns what ends the calls.
   */
  onDiskFull(record: VmmRecord, listener: () => void): () => void;
  /** Whether a machine stands still for that. Throws VM_CRASHED when the VMM is gone. */
  isDiskFull(record: VmmRecord): Promise<boolean>;
  /** Ends what a dead daemon left half done with a VMM (a save), so that its guest runs or is paused as wanted. */
  settle(record: VmmRecord, wanted: "running" | "paused"): Promise<void>;
  /** Gives a running machine another drive, which its guest hears of a moment later; one that it has already is left as it is. */
  attachDrive(
    record: VmmRecord,
    config: Pick<MachineConfig, "exchangeDir" | "uid">,
    drive: AttachedDrive,
  ): Promise<void>;
  /** Takes a drive away, whether its guest lets go of it or not. One that is not there is taken away already. */
  detachDrive(record: VmmRecord, serial: string): Promise<void>;
  /** Enlarges a drive; the guest hears of it a moment later. */
  growDrive(record: VmmRecord, serial: string, sizeBytes: number): Promise<void>;
  /** Opens the byte stream of the channel anew. Throws VM_CRASHED when the VMM is gone. */
  openChannel(record: VmmRecord, signal: AbortSignal): Promise<Socket>;
  /** Opens the byte stream by which the guest asks for ways out anew. Throws VM_CRASHED when the VMM is gone. */
  openEgress(record: VmmRecord, signal: AbortSignal): Promise<Socket>;
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
  /** Lets go of all that is open; VMs go on. */
  close(): void | Promise<void>;
}
