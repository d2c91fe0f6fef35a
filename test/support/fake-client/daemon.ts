import type { VmClient } from "../../../src/mcp/vm-client.ts";
import type { FakeWorld } from "./world.ts";

/** What is asked of the daemon and its host, and the history of VMs. */
export function createFakeDaemon(
  world: FakeWorld,
): Pick<VmClient, "status" | "doctor" | "hostInfo" | "prices" | "events"> {
  return {
    status: async () => ({
      version: "0",
      apiVersion: 2,
      pid: 1,
      startedAt: new Date(0).toISOString(),
      home: "/h",
      socket: "/h/s",
      vms: { total: world.vms.length, running: world.vms.length },
      rssBytes: 1,
    }),
    doctor: async () => [
      { name: "qemu", ok: true, message: "QEMU 7" },
      { name: "skopeo", ok: false, optional: true, message: "missing", hint: "apt-get install skopeo" },
    ],
    hostInfo: async () => ({
      version: "0",
      arch: "x64",
      kernel: "6.1",
      cpus: 2,
      cpuModel: "cpu",
      load1: 0,
      memory: { totalBytes: 2, availableBytes: 1 },
      disk: { totalBytes: 2, availableBytes: 1 },
      driver: "auto",
      drivers: [{ name: "fake", version: "1.0.0" }],
      vms: { total: world.vms.length, running: world.vms.length },
    }),
    prices: async () => ({ currency: "EUR", cpu_hour: 0.5, gib_hour: 0.25, disk_gib_hour: 0.125 }),
    events: {
      list: async ({ after = 0 } = {}) => ({
        events: [1, 2]
          .filter((id) => id > after)
          .map((id) => ({ id, at: new Date(0).toISOString(), vmId: "id-web", vm: "web", kind: "started", data: {} })),
        more: false,
      }),
    },
  };
}
