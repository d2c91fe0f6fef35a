import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { attachToGuest } from "../guest/attachment.ts";
import type { VmmConfig, VmmDriver, VmmRecord } from "./driver.ts";

/** What the suite needs of whoever runs it: a driver, and configurations for VMs that boot. */
export interface DriverFixture {
  driver: VmmDriver;
  /** A fresh configuration; each call another VM. */
  makeConfig: () => Promise<VmmConfig>;
}

const never = () => new AbortController().signal;

async function attach(driver: VmmDriver, record: VmmRecord) {
  const attached = await attachToGuest({ open: (signal) => driver.openChannel(record, signal), deadlineMs: 60_000 });
  attached.socket.destroy();
  return attached.generation;
}

/** The promises of the VMM port; every driver and fake passes them. */
export function testDriverContract(name: string, openFixture: () => Promise<DriverFixture>): void {
  const withVm = async (work: (fixture: DriverFixture, record: VmmRecord) => Promise<void>) => {
    const fixture = await openFixture();
    const record = await fixture.driver.start(await fixture.makeConfig());
    try {
      await work(fixture, record);
    } finally {
      await fixture.driver.kill(record);
    }
  };

  test(`${name}: says its version`, async () => {
    const { driver } = await openFixture();
    assert.match(await driver.version(), /^\d+\.\d+/);
  });

  test(`${name}: a started VM is alive and its guest agent attaches, again and again`, async () => {
    await withVm(async ({ driver }, record) => {
      assert.equal(await driver.isAlive(record), true);
      assert.equal(await attach(driver, record), 1);
      assert.equal(await attach(driver, record), 1);
    });
  });

  test(`${name}: a record that went through JSON finds the VM again, as another daemon would`, async () => {
    await withVm(async ({ driver }, record) => {
      const found = JSON.parse(JSON.stringify(record)) as VmmRecord;
      assert.equal(await driver.isAlive(found), true);
      assert.equal(await attach(driver, found), 1);
    });
  });

  test(`${name}: a pid that another process has is not taken for the VM`, async () => {
    await withVm(async ({ driver }, record) => {
      assert.equal(await driver.isAlive({ ...record, startTicks: record.startTicks + 1 }), false);
      assert.equal(await driver.isAlive({ ...record, pid: process.pid }), false);
      assert.equal(await driver.isAlive({ ...record, bootId: "another" }), false);
    });
  });

  test(`${name}: killing leaves no process, no socket and no folder, and may be repeated`, async () => {
    await withVm(async ({ driver }, record) => {
      await driver.kill(record);
      assert.equal(await driver.isAlive(record), false);
      assert.equal(existsSync(record.runtimeDir), false);
      await driver.kill(record);
    });
  });

  test(`${name}: the end of a VMM is heard, and the channel says so`, async () => {
    await withVm(async ({ driver }, record) => {
      const heard = driver.waitForExit(record, never());
      process.kill(record.pid, "SIGKILL");
      await heard;
      assert.equal(await driver.isAlive(record), false);
      assert.equal((await driver.describeExit(record)).isGuestShutdown, false);
      await assert.rejects(driver.openChannel(record, never()), { code: "VM_CRASHED" });
    });
  });

  test(`${name}: waiting for an exit ends when the waiter gives up`, async () => {
    await withVm(async ({ driver }, record) => {
      await driver.waitForExit(record, AbortSignal.timeout(50));
      assert.equal(await driver.isAlive(record), true);
    });
  });

  test(`${name}: a VMM that nobody noted is found by its folder and ended`, async () => {
    await withVm(async ({ driver }, record) => {
      await driver.killUnrecorded(record.runtimeDir);
      assert.equal(await driver.isAlive(record), false);
      assert.equal(existsSync(record.runtimeDir), false);
    });
  });

  test(`${name}: a runtime folder whose sockets would be too long is refused before anything starts`, async () => {
    const { driver, makeConfig } = await openFixture();
    const config = { ...(await makeConfig()), runtimeDir: `/tmp/${"x".repeat(120)}` };
    await assert.rejects(driver.start(config), { code: "SOCKET_PATH_TOO_LONG" });
    assert.equal(existsSync(config.runtimeDir), false);
  });

  test(`${name}: a console that nobody reads does not stop the guest`, async () => {
    await withVm(async ({ driver }, record) => {
      const console = await driver.openConsole(record, never());
      console.destroy();
      assert.equal(await attach(driver, record), 1);
    });
  });
}
