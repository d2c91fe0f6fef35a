import assert from "node:assert/strict";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { GuestClient } from "../../src/guest/client.ts";
import { GuestConnection } from "../../src/guest/connection.ts";
import type { VmmRecord } from "../../src/vmm/driver.ts";
import { sh } from "../../src/vmm/driver-help.contract.ts";
import { type FirecrackerSetting, findVsockDevice, openFirecrackerSetting } from "../support/firecracker-setting.ts";

const device = await findVsockDevice();
const skip = device === undefined && "vhost-device-vsock is not there: scripts/setup-vsock-device.sh";

let setting: FirecrackerSetting;
before(async () => {
  const home = process.env.FIREBREAK_TEST_HOME ?? path.join(os.homedir(), ".cache", "firebreak-test");
  if (device !== undefined) setting = await openFirecrackerSetting(home, { fake: { vsockDevice: device } });
});
after(() => setting?.close());

async function withGuest(work: (client: GuestClient, record: VmmRecord) => Promise<void>): Promise<void> {
  const { driver } = setting;
  const record = await driver.start(await setting.makeConfig());
  const connection = new GuestConnection({
    open: (signal) => driver.openChannel(record, signal),
    attachDeadlineMs: 60_000,
  });
  try {
    await work(new GuestClient(connection), record);
  } finally {
    connection.close();
    await driver.kill(record);
  }
}

test("a guest behind Firecracker's API boots, dials, and runs a command", { skip }, async () => {
  await withGuest(async (client, record) => {
    await client.hello({ deadlineMs: 60_000 });
    assert.equal(record.driver, "firecracker");
    assert.equal(
      await sh(client, "echo from the guest; cat /sys/block/vda/ro /sys/block/vdb/ro"),
      "from the guest\n1\n0\n",
    );
    const words = await sh(client, "cat /proc/cmdline; ls /sys/class/virtio-ports 2>/dev/null");
    assert.match(words, /firebreak\.channel=vsock/);
    assert.ok(!words.includes("vport"), "there is no other way than by vsock");
  });
});

test("a guest that powers off ends its VMM, and that is told as what it was", { skip }, async () => {
  await withGuest(async (client, record) => {
    await client.hello({ deadlineMs: 60_000 });
    await client.shutdown(100);
    await setting.driver.waitForExit(record, AbortSignal.timeout(30_000));
    assert.equal(await setting.driver.isAlive(record), false);
    assert.equal((await setting.driver.describeExit(record)).isGuestShutdown, true);
  });
});

test("the guest asks for ways out on a connection of its own, and dials again for another daemon", {
  skip,
}, async () => {
  await withGuest(async (client, record) => {
    const { driver } = setting;
    await client.hello({ deadlineMs: 60_000 });
    const greeting = async (of: typeof driver) => {
      const socket = await of.openEgress(record, AbortSignal.timeout(30_000));
      await once(socket, "readable", { signal: AbortSignal.timeout(30_000) });
      const words = String(socket.read());
      socket.destroy();
      return words;
    };
    assert.match(await greeting(driver), /^\nfirebreak-agent 1 [0-9a-f]{32}\n$/);
    // Who listened before is gone, and so are its connections.
    await driver.close();
    assert.match(await greeting(driver), /^\nfirebreak-agent 1 [0-9a-f]{32}\n$/);
  });
});

test("what the guest says on its serial console comes out of a pipe, which never blocks it", { skip }, async () => {
  await withGuest(async (client, record) => {
    await client.hello({ deadlineMs: 60_000 });
    // More than the pipe has room for, with nobody reading.
    await sh(client, "head -c 300000 /dev/zero | tr '\\0' x > /dev/ttyS0");
    const console = await setting.driver.openConsole(record, AbortSignal.timeout(10_000));
    await sh(client, "echo");
    const [words] = (await once(console, "data", { signal: AbortSignal.timeout(30_000) })) as [Buffer];
    assert.ok(words.length > 0);
    console.destroy();
  });
});
