import type { GuestClient } from "../src/guest/client.ts";
import { EgressLink } from "../src/guest/egress-link.ts";
import { Dialer } from "../src/network/dial.ts";
import { EgressLog } from "../src/network/egress-log.ts";
import { compilePolicy } from "../src/network/rules.ts";
import { createSets } from "../src/network/sets.ts";
import { VmEgress } from "../src/network/vm-egress.ts";
import type { VmmRecord } from "../src/vmm/driver.ts";
import type { QemuDriver } from "../src/vmm/qemu/driver.ts";

/** Gives a bare VM a way out to one name, which leads to this host's loopback at the ports that are given. */
export async function openWayOut(
  guest: { client: GuestClient; driver: QemuDriver; record: VmmRecord },
  name: string,
  ports: string,
): Promise<{ close: () => void }> {
  const policy = compilePolicy(
    { mode: "allowlist", allow: [{ host: name, ports, private: true }], hosts: { [name]: "127.0.0.1" } },
    createSets([]),
  );
  const log = new EgressLog({ write: () => {}, list: () => [], lastId: () => 0 }, () => {});
  const egress = new VmEgress({
    vm: { id: "bench", name: "bench" },
    policy,
    dialer: new Dialer({ env: {} }),
    log,
    onUse: () => {},
  });
  const link = new EgressLink({
    open: (signal) => guest.driver.openEgress(guest.record, signal),
    attachDeadlineMs: 30_000,
    onStream: (stream, headers) => egress.handle(stream, headers),
    onFailure: (reason) => process.stderr.write(`${reason}\n`),
  });
  const close = () => {
    link.close();
    log.close();
  };
  try {
    await link.attached;
    await guest.client.setNetwork({ mode: "proxy" });
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}
