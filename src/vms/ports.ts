import type { Socket } from "node:net";
import type { DriveFormat } from "../contract/attachment.ts";
import type { VmMount } from "../contract/mount.ts";
import type { EgressPolicy } from "../contract/policy.ts";
import type { SecretGrant } from "../contract/secret.ts";
import type { Progress, Vm } from "../contract/vm.ts";
import type { WorkspaceReport, WorkspaceSpec } from "../contract/workspace.ts";
import type { GuestClient } from "../guest/client.ts";
import type { GuestNetwork } from "../guest/protocol.ts";
import type { BootFiles, NetworkCard } from "../vmm/driver.ts";

export type OnProgress = (progress: Progress) => void;

export interface WorkOptions {
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export interface ImageRef {
  name: string;
  /** `sha256:…` of the root file system. */
  digest: string;
  rootfsPath: string;
  /** What every command in its VMs finds in its environment, unless the VM says otherwise. */
  env: Record<string, string>;
}

export interface KernelRef extends BootFiles {
  kernelId: string;
}

/** Files that drives are. Each throws HOST_DISK_FULL, and leaves no file then. */
export interface DriveFiles {
  /** An empty file system, or nothing but zeros. */
  makeBlank(file: string, format: DriveFormat, sizeMib: number, signal?: AbortSignal): Promise<void>;
  /** A drive with these bytes. Without a size it is as large as its content wants. Throws INVALID_ARGUMENT when they do not fit. */
  makeFromBytes(
    file: string,
    bytes: AsyncIterable<Buffer>,
    sizeMib: number | undefined,
    signal?: AbortSignal,
  ): Promise<{ format: DriveFormat; sizeMib: number }>;
  /** A file system with what a tar archive holds. Throws ARCHIVE_INVALID, ARCHIVE_TOO_LARGE, INVALID_ARGUMENT when it does not fit. */
  makeFromTar(
    file: string,
    archive: AsyncIterable<Buffer>,
    sizeMib: number | undefined,
    signal?: AbortSignal,
  ): Promise<{ format: DriveFormat; sizeMib: number }>;
}

/** What a VM is made from. */
export interface BootSource {
  /** By name or digest; a built-in image that has not been built yet is built. Throws IMAGE_NOT_FOUND, IMAGE_CORRUPT. */
  resolveImage(nameOrDigest: string, options: WorkOptions): Promise<ImageRef>;
  /** The default kernel with its initrd, fetched on first use. */
  resolveKernel(options: WorkOptions): Promise<KernelRef>;
  /** A kernel that a VM was created with. */
  getKernel(kernelId: string): Promise<KernelRef>;
}

/** What a VM's guest is told of its network, and what it gets out by. Implemented by src/network/service.ts. */
export interface NetworkHooks {
  /** Throws POLICY_INVALID, SECRET_NOT_FOUND, SECRET_INVALID. */
  check(policy: EgressPolicy, secrets: readonly SecretGrant[]): void;
  /** What its commands find in their environment of its secrets: placeholders, or values where that was asked for. */
  environmentOf(vm: VmNetwork): Record<string, string>;
  /** Certificates that its programs have to trust; undefined for none. */
  trustOf(vm: VmNetwork): Promise<string | undefined>;
  /** Names of the secrets whose values it has: its memory is not saved. */
  exposedIn(vm: VmNetwork): string[];
  /** Whether its card is within its VMM. */
  hasUserCard(policy: EgressPolicy): boolean;
  /** Whether a machine that is saved goes on with its network. */
  isSavable(vm: VmNetwork): boolean;
  valuesFor(vm: VmNetwork): GuestNetwork;
  /** Keeps a running VM's way out up until its signal aborts. */
  open(vm: VmNetwork, link: VmLink): void;
  /** Called before a VM's VMM starts: what its network card is plugged into, with its rules in force; undefined for none. Throws what keeps it from that. */
  plug(vm: VmNetwork, options: { hasOwnNamespace: boolean }): Promise<NetworkCard | undefined>;
  /** The VM's VMM has ended. Never throws. */
  unplug(vmId: string): Promise<void>;
  /** Resolves when a VM that has a way out can use it, or after a while without. */
  ready(vmId: string): Promise<void>;
  /** Another policy holds for a VM from now on, whatever its guest does: what is open and not allowed any more is cut. */
  enforce(vm: VmNetwork, link: VmLink): Promise<void>;
  /** What has gone over a VM's ways out, as the host counts it; undefined when it has none that are counted. Never throws. */
  traffic(vmId: string): Promise<{ receivedBytes: number; sentBytes: number } | undefined>;
  forget(vmId: string): void;
}
export type VmNetwork = Pick<Vm, "id" | "name"> & {
  /** No two VMs have the same. */
  uid: number;
  policy: EgressPolicy;
  secrets: readonly SecretGrant[];
  authority?: string | undefined;
};
export interface VmLink {
  client: GuestClient;
  /** Aborts when the VM is let go of. */
  signal: AbortSignal;
  openEgress: (signal: AbortSignal) => Promise<Socket>;
  onUse: () => void;
}

/** Host directories that VMs are started with; what a VM changes in one goes back before the VM ends. */
export interface WorkspaceHooks {
  /** The directory's canonical path. Throws WORKSPACE_DIRECTORY_REFUSED, HOST_PATH_NOT_FOUND. */
  resolve(directory: string): Promise<string>;
  declare(vm: Pick<Vm, "id" | "name">, spec: WorkspaceSpec): void;
  /** Whether the VM has one that is synced by itself. */
  isAutomatic(vmId: string): boolean;
  push(vm: Pick<Vm, "id" | "name">, client: GuestClient, options: WorkOptions): Promise<WorkspaceReport[]>;
  /**
   * What came back, a report for each directory; `isFinal` is false where the VM goes on. A VM that is deleted with its command keeps nothing: conflicts are kept beside the host's. Throws
   * WORKSPACE_NOT_SYNCED where `isRequired`, also for conflicts.
   */
  pull(
    vm: Pick<Vm, "id" | "name">,
    client: GuestClient | undefined,
    options: WorkOptions & { isRequired: boolean; isEphemeral: boolean; isFinal?: boolean },
  ): Promise<WorkspaceReport[]>;
  forget(vmId: string, keepsReport: boolean): Promise<void>;
}

/** Host directories and files that VMs see live. Implemented by src/mounts/service.ts. */
export interface MountHooks {
  /** With the host paths' canonical form. Throws HOST_PATH_NOT_FOUND, MOUNT_PATH_REFUSED. */
  resolve(mounts: readonly VmMount[]): Promise<VmMount[]>;
  /**
   * Serves a VM's mounts until its signal aborts; what its guest has mounted besides, since it is a fork, is refused. Resolves when all are there. Throws
   * MOUNT_FAILED, MOUNT_BUSY, GUEST_FEATURE_MISSING.
   */
  begin(vm: VmMounts, link: MountLink): Promise<void>;
  /** The same for a VM that another daemon has served: what cannot be served is tried again. */
  resume(vm: VmMounts, link: MountLink): void;
  /** Why mounts are not served at the moment, by their path in the guest. */
  problemsOf(vmId: string): ReadonlyMap<string, string>;
}
export type VmMounts = Pick<Vm, "id" | "name"> & { mounts: readonly VmMount[] };
export interface MountLink {
  client: GuestClient;
  /** Aborts when the VM is let go of. */
  signal: AbortSignal;
  /** Of its agent. */
  features: readonly string[];
}
