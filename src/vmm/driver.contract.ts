import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, stat, truncate } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { attachToGuest } from "../guest/attachment.ts";
import { GuestClient } from "../guest/client.ts";
import { GuestConnection } from "../guest/connection.ts";
import type { MachineConfig, SavedMachine, SaveResult, SaveTarget, VmmConfig, VmmDriver, VmmRecord } from "./driver.ts";
import { flipByte, makeDrive, sh } from "./driver-help.contract.ts";

/** What the suite needs of whoever runs it: a driver, and configurations for VMs that boot. */
export interface DriverFixture {
  driver: VmmDriver;
  /** A fresh configuration; each call another VM. */
  makeConfig: () => Promise<VmmConfig>;
  /** Copies a drive that a VM stands still with. */
  copyDrive: (from: string, to: string) => Promise<void>;
  /** Its guests are guests, with memory and drives; a fake's are not. */
  hasGuests: boolean;
  /** Drives come and go while its machines run; default true. */
  hasHotplug?: boolean;
}

/** A guest that stands still answers nobody: it is not waited for any longer, ms. */
const STILL_MS = 1_500;

const never = () => new AbortController().signal;

async function attach(driver: VmmDriver, record: VmmRecord) {
  const attached = await attachToGuest({ open: (signal) => driver.openChannel(record, signal), deadlineMs: 60_000 });
  attached.socket.destroy();
  return attached.generation;
}

/** A guest that dials may have greeted before it stood still: that is there to be read, and no more comes. */
async function assertStandsStill(driver: VmmDriver, record: VmmRecord): Promise<void> {
  await assert.rejects(
    attachToGuest({ open: (signal) => driver.openChannel(record, signal), deadlineMs: STILL_MS }),
    (error: { code?: string }) => error.code === "GUEST_UNREACHABLE" || error.code === "GUEST_PROTOCOL_ERROR",
  );
}

/** Lends the guest's client for as long as `work` takes. */
async function withGuest<T>(
  driver: VmmDriver,
  record: VmmRecord,
  work: (client: GuestClient) => Promise<T>,
): Promise<T> {
  const connection = new GuestConnection({
    open: (signal) => driver.openChannel(record, signal),
    attachDeadlineMs: 60_000,
  });
  try {
    return await work(new GuestClient(connection));
  } finally {
    connection.close();
  }
}

const read = async (client: GuestClient, file: string, length?: number) =>
  text((await client.readFile(file, length === undefined ? {} : { length })).body);
const write = (client: GuestClient, file: string, words: string) =>
  client.writeFile(file, Readable.from([Buffer.from(words)]), {});

/** A save into a fresh folder beside the VM's log. */
async function save(
  { driver }: DriverFixture,
  record: VmmRecord,
  config: MachineConfig,
  changes: Partial<SaveTarget> = {},
): Promise<{ result: SaveResult; saved: SavedMachine; copies: string[] }> {
  const folder = `${config.runtimeDir.replaceAll("/", "_").slice(-24)}.saved`;
  const scratchDir = path.join(path.dirname(config.logPath), folder);
  await rm(scratchDir, { recursive: true, force: true });
  await mkdir(scratchDir);
  const memoryPath = path.join(scratchDir, "memory");
  const statePath = path.join(scratchDir, "state");
  const drives = (config.drives ?? []).filter((drive) => !drive.readOnly);
  const copies = drives.map(({ serial }) => ({ serial, path: path.join(scratchDir, serial) }));
  const target = { memoryPath, statePath, scratchDir, copies, afterwards: "continue" as const, ...changes };
  const result = await driver.save(record, config, target);
  const { memorySha256, stateSha256 } = result;
  return {
    result,
    saved: { memoryPath, memorySha256, statePath, stateSha256 },
    copies: copies.map((copy) => copy.path),
  };
}

/** Another VM, on copies of a saved one's drives. */
async function twinOf(fixture: DriverFixture, copies: string[]): Promise<MachineConfig> {
  const config = await fixture.makeConfig();
  const drives = (config.drives ?? []).filter((drive) => !drive.readOnly);
  for (const [index, drive] of drives.entries()) await fixture.copyDrive(copies[index] as string, drive.path);
  return config;
}

/** The promises of the VMM port; every driver and fake passes them. */
export function testDriverContract(name: string, openFixture: () => Promise<DriverFixture>): void {
  const withVm = async (
    work: (fixture: DriverFixture, record: VmmRecord, config: VmmConfig) => Promise<void>,
    changes: Partial<VmmConfig> = {},
  ) => {
    const fixture = await openFixture();
    const config = { ...(await fixture.makeConfig()), ...changes };
    const record = await fixture.driver.start(config);
    try {
      await work(fixture, record, config);
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

  test(`${name}: a paused VM answers nobody, and goes on when it is resumed`, async () => {
    await withVm(async ({ driver }, record) => {
      await attach(driver, record);
      await driver.pause(record);
      assert.equal(await driver.isAlive(record), true);
      await assertStandsStill(driver, record);
      await driver.resume(record);
      assert.equal(await attach(driver, record), 1);
    });
  });

  test(`${name}: what a dead daemon left paused is settled as it is wanted`, async () => {
    await withVm(async ({ driver }, record) => {
      await attach(driver, record);
      await driver.pause(record);
      await driver.settle(record, "paused");
      await assertStandsStill(driver, record);
      await driver.settle(record, "running");
      assert.equal(await attach(driver, record), 1);
      await driver.settle(record, "running");
      assert.equal(await attach(driver, record), 1);
    });
  });

  test(`${name}: a save leaves its VM running, and the same machine is restored from it, more than once`, async () => {
    await withVm(async (fixture, record, config) => {
      const { driver, hasGuests } = fixture;
      if (hasGuests) await withGuest(driver, record, (client) => write(client, "/dev/shm/note", "kept"));
      else await attach(driver, record);
      await save(fixture, record, config);
      const { result, saved, copies } = await save(fixture, record, config);
      assert.ok(result.memoryDataBytes > 0 && result.stateSizeBytes === (await stat(saved.statePath)).size);
      assert.equal(await attach(driver, record), 1);
      for (const twin of [await twinOf(fixture, copies), await twinOf(fixture, copies)]) {
        const restored = await driver.restore(twin, saved);
        try {
          assert.notEqual(restored.pid, record.pid);
          assert.equal(await attach(driver, restored), 1);
          if (!hasGuests) continue;
          await withGuest(driver, restored, async (client) => {
            assert.equal(await read(client, "/dev/shm/note"), "kept");
            await write(client, "/dev/shm/note", "of the twin");
          });
        } finally {
          await driver.kill(restored);
        }
      }
      if (!hasGuests) return;
      await withGuest(driver, record, async (client) => assert.equal(await read(client, "/dev/shm/note"), "kept"));
    });
  });

  test(`${name}: a save that fails leaves its VM running`, async () => {
    await withVm(async (fixture, record, config) => {
      const { driver } = fixture;
      await attach(driver, record);
      const copies = [{ serial: "overlay", path: "/nonexistent/overlay" }];
      await assert.rejects(save(fixture, record, config, { copies }));
      assert.equal(await attach(driver, record), 1);
      assert.equal(existsSync(`${config.runtimeDir}.rec`), false);
      // And it can be saved after that.
      await save(fixture, record, config);
    });
  });

  test(`${name}: a paused VM is saved as it stands, and stays paused`, async () => {
    await withVm(async (fixture, record, config) => {
      const { driver } = fixture;
      await attach(driver, record);
      await driver.pause(record);
      await save(fixture, record, config, { afterwards: "stay_paused" });
      await assertStandsStill(driver, record);
      // And once more, without having run in between.
      const { saved, copies } = await save(fixture, record, config, { afterwards: "stay_paused" });
      await assertStandsStill(driver, record);
      const restored = await driver.restore(await twinOf(fixture, copies), saved);
      try {
        assert.equal(await attach(driver, restored), 1, "what is restored runs");
      } finally {
        await driver.kill(restored);
      }
      await driver.resume(record);
      assert.equal(await attach(driver, record), 1);
    });
  });

  test(`${name}: a template is saved once and ends; what is not what was saved is refused before anything starts`, async () => {
    await withVm(
      async (fixture, record, config) => {
        const { driver } = fixture;
        await attach(driver, record);
        const { saved } = await save(fixture, record, config, { afterwards: "end", copies: [] });
        await driver.kill(record);
        const machine: MachineConfig = config;
        const restored = await driver.restore(machine, saved);
        assert.equal(await attach(driver, restored), 1);
        await driver.kill(restored);
        const refuse = async () => {
          // What it holds in memory is not the file, which is what is looked at.
          driver.release(saved.memorySha256);
          await assert.rejects(driver.prepare(saved), { code: "SNAPSHOT_CORRUPT" });
          await assert.rejects(driver.restore(machine, saved), { code: "SNAPSHOT_CORRUPT" });
          assert.equal(existsSync(machine.runtimeDir), false, "nothing was started");
        };
        await flipByte(saved.statePath, 3);
        await refuse();
        await flipByte(saved.statePath, 3);
        await flipByte(saved.memoryPath, 3);
        await refuse();
        await flipByte(saved.memoryPath, 3);
        await assert.rejects(driver.restore(machine, { ...saved, memorySha256: "0".repeat(64) }), {
          code: "SNAPSHOT_CORRUPT",
        });
        await driver.prepare(saved);
        const again = await driver.restore(machine, saved);
        assert.equal(await attach(driver, again), 1, "whole again");
        await driver.kill(again);
        await truncate(saved.memoryPath, 4);
        await refuse();
        await rm(saved.memoryPath);
        await refuse();
        await rm(saved.statePath);
        await refuse();
      },
      { isTemplate: true },
    );
  });

  test(`${name}: letting go of memory that nobody holds is nothing`, async () => {
    const { driver } = await openFixture();
    driver.release("0".repeat(64));
  });

  test(`${name}: says the same of its host each time`, async () => {
    const { driver } = await openFixture();
    assert.deepEqual(await driver.describeHost("tcg"), await driver.describeHost("tcg"));
    assert.match(String((await driver.describeHost("tcg")).vmm), /\d+\.\d+/);
  });

  test(`${name}: a drive grows while its VM runs, and the guest sees it`, async () => {
    await withVm(async ({ driver, hasGuests }, record) => {
      await attach(driver, record);
      await driver.growDrive(record, "overlay", 3 * 1024 ** 3);
      if (!hasGuests) return;
      await withGuest(driver, record, async (client) => {
        const grown = String((3 * 1024 ** 3) / 512);
        const sizes = async () =>
          Promise.all(["vda", "vdb"].map((disk) => read(client, `/sys/block/${disk}/size`, grown.length)));
        for (let tries = 0; !(await sizes()).some((size) => size.trim() === grown); tries++) {
          assert.ok(tries < 100, "the guest does not see it");
          await sleep(50);
        }
      });
    });
  });

  /** As withVm, for a driver that can have drives come; of another, that it says so. */
  const withHotplug: typeof withVm = (work) =>
    withVm(async (fixture, record, config) => {
      if (fixture.hasHotplug !== false) return work(fixture, record, config);
      const drive = await makeDrive(config, "refused", "");
      await assert.rejects(fixture.driver.attachDrive(record, config, drive), { code: "DRIVE_UNSUPPORTED" });
      await fixture.driver.detachDrive(record, drive.serial);
    });
  test(`${name}: a drive comes while its VM runs, is written to, and goes on with another VM`, async () => {
    await withHotplug(async (fixture, record, config) => {
      const { driver, hasGuests } = fixture;
      await attach(driver, record);
      const drive = await makeDrive(config, "data", "from the host");
      await driver.attachDrive(record, config, drive);
      await driver.attachDrive(record, config, drive);
      if (hasGuests) {
        await withGuest(driver, record, async (client) => {
          const { device, sizeBytes } = await client.driveAttach(drive.serial, {});
          assert.equal(sizeBytes, 64 * 1024 ** 2);
          assert.match(
            await sh(client, `head -c 13 ${device}; printf 'by a guest' | dd of=${device} conv=fsync`),
            /^from the host/,
          );
          await driver.growDrive(record, drive.serial, 96 * 1024 ** 2);
          await client.driveGrow(drive.serial, 96 * 1024 ** 2);
          await client.driveDetach(drive.serial, false);
        });
      }
      await driver.detachDrive(record, drive.serial);
      await driver.detachDrive(record, drive.serial);
      const other = await fixture.makeConfig();
      const second = await driver.start(other);
      try {
        await attach(driver, second);
        await driver.attachDrive(second, other, drive);
        if (!hasGuests) return;
        await withGuest(driver, second, async (client) => {
          const { device, sizeBytes } = await client.driveAttach(drive.serial, {});
          assert.equal(sizeBytes, 96 * 1024 ** 2);
          assert.equal(await sh(client, `head -c 13 ${device}`), "by a guestost");
        });
      } finally {
        await driver.kill(second);
      }
    });
  });

  test(`${name}: a drive is taken away from a guest that does not let go, and may come again`, async () => {
    await withHotplug(async ({ driver, hasGuests }, record, config) => {
      await attach(driver, record);
      const drive = await makeDrive(config, "held", "kept");
      await driver.attachDrive(record, config, drive);
      await withGuest(driver, record, async (client) => {
        const { device } = await client.driveAttach(drive.serial, {});
        if (hasGuests) await sh(client, `sleep 1000 < ${device} >/dev/null 2>&1 &`);
        await driver.detachDrive(record, drive.serial);
        await driver.attachDrive(record, config, drive);
        if (!hasGuests) return;
        const again = await client.driveAttach(drive.serial, {});
        assert.equal(await sh(client, `head -c 4 ${again.device}`), "kept");
      });
    });
  });

  test(`${name}: a read-only drive is not written to, whatever its guest tries`, async () => {
    await withHotplug(async ({ driver, hasGuests }, record, config) => {
      await attach(driver, record);
      const drive = { ...(await makeDrive(config, "ro", "as it was")), readOnly: true };
      await driver.attachDrive(record, config, drive);
      if (!hasGuests) return;
      await withGuest(driver, record, async (client) => {
        const { device } = await client.driveAttach(drive.serial, { readOnly: true });
        const name = path.basename(device);
        // What the kernel believes of the device is the guest's to change.
        const script = `blockdev --setrw ${device}; echo 0 > /sys/block/${name}/ro; head -c 4096 /dev/zero | dd of=${device} conv=fsync`;
        await sh(client, script);
        await sh(client, `echo 3 > /proc/sys/vm/drop_caches`);
        assert.equal(await sh(client, `head -c 9 ${device}`), "as it was");
      });
      assert.equal((await readFile(drive.path)).subarray(0, 9).toString(), "as it was");
    });
  });

  test(`${name}: a VM is saved with the drives that it has, and goes on with them`, async () => {
    await withHotplug(async (fixture, record, config) => {
      const { driver, hasGuests } = fixture;
      await attach(driver, record);
      const drive = await makeDrive(config, "kept", "before");
      await driver.attachDrive(record, config, drive);
      if (hasGuests)
        await withGuest(driver, record, async (client) => {
          const { device } = await client.driveAttach(drive.serial, {});
          await sh(client, `sleep 1000 < ${device} >/dev/null 2>&1 &`);
        });
      const machine = { ...config, attached: [drive] };
      const { saved } = await save(fixture, record, machine, { afterwards: "end", copies: [] });
      await driver.kill(record);
      const restored = await driver.restore(machine, saved);
      try {
        await attach(driver, restored);
        await driver.attachDrive(restored, machine, drive);
        if (!hasGuests) return;
        await withGuest(driver, restored, async (client) => {
          const { device } = await client.driveAttach(drive.serial, {});
          assert.equal(
            await sh(client, `head -c 6 ${device}; printf after | dd of=${device} conv=fsync 2>/dev/null`),
            "before",
          );
          await driver.growDrive(restored, drive.serial, 80 * 1024 ** 2);
          await client.driveGrow(drive.serial, 80 * 1024 ** 2);
        });
        await driver.detachDrive(restored, drive.serial);
        assert.equal((await readFile(drive.path)).subarray(0, 6).toString(), "aftere");
      } finally {
        await driver.kill(restored);
      }
    });
  });
}
