import path from "node:path";
import type { MachineConfig } from "../driver.ts";

/** Where a VM's Firecracker has its files: the root of its jail, to which this leads by a short way, or its working directory without one. */
export function rootOf(runtimeDir: string): string {
  return `${runtimeDir}/root`;
}

/**
 * Names in that folder: Firecracker is told names alone. A snapshot has the names of drives and sockets in it, and so is loaded by any VM that has its own files under them.
 */
export const FIRECRACKER_FILES = {
  /** The API's socket. */
  api: "api",
  /** Firecracker listens here for connections to the guest, which nobody makes, and looks for `vsock_<port>` of those from it. */
  vsock: "vsock",
  /** What the guest says on its serial console. */
  console: "console",
  /** The uncompressed kernel. */
  kernel: "kernel",
  initrd: "initrd",
  /** Of a machine that is restored. */
  memory: "memory",
  state: "state",
  /** A folder on the disk of the VM's drives, which a jailed Firecracker saves its machine into. */
  saves: "saves",
} as const;

/** Drive ids are of [A-Za-z0-9_]: serials are of [a-z0-9-]. */
export function driveId(serial: string): string {
  return serial.replaceAll("-", "_");
}

export function driveFile(serial: string): string {
  return `drive_${driveId(serial)}`;
}

/** Each VM is alone on its vsock: the lowest CID that a guest can have (vsock(7)). */
export const GUEST_CID = 3;

/** Ports of the host that the guest dials; guest-agent/src/channel/vsock.rs has the same. */
export const VSOCK_PORTS = { control: 1024, egress: 1025 } as const;

/** The UNIX socket that Firecracker takes a guest's connection to a port of its host to. */
export function portSocket(runtimeDir: string, port: number): string {
  return `${rootOf(runtimeDir)}/${FIRECRACKER_FILES.vsock}_${port}`;
}

/** Where the host finds what a jailed Firecracker has saved. */
export function savesFolder({ exchangeDir, logPath }: Pick<MachineConfig, "exchangeDir" | "logPath">): string {
  return exchangeDir ?? path.join(path.dirname(logPath), "exchange");
}
