/**
 * Names in a VM's runtime folder, which is Firecracker's root within a jail, and its working directory without one: it is told names alone. A snapshot has
 * the names of drives and sockets in it, and so is loaded by any VM that has its own files under them.
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
  return `${runtimeDir}/${FIRECRACKER_FILES.vsock}_${port}`;
}
