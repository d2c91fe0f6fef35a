/** Names in a VM's runtime folder, which is Firecracker's root within a jail. */
export const FIRECRACKER_FILES = {
  /** The API's socket. */
  api: "api",
  /** Firecracker listens here for connections to the guest, which nobody makes, and looks for `vsock_<port>` of those from it. */
  vsock: "vsock",
  /** What the guest says on its serial console. */
  console: "console",
} as const;

/** Each VM is alone on its vsock: the lowest CID that a guest can have (vsock(7)). */
export const GUEST_CID = 3;

/** Ports of the host that the guest dials; guest-agent/src/channel/vsock.rs has the same. */
export const VSOCK_PORTS = { control: 1024, egress: 1025 } as const;

/** The UNIX socket that Firecracker takes a guest's connection to a port of its host to. */
export function portSocket(runtimeDir: string, port: number): string {
  return `${runtimeDir}/${FIRECRACKER_FILES.vsock}_${port}`;
}
