import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { GuestClient } from "../../src/guest/client.ts";
import { createOverlayDrive } from "../../src/images/ext4.ts";
import type { AttachedDrive } from "../../src/vmm/driver.ts";
import { exec, sh } from "../support/guest-contract.ts";
import { type BareGuest, openBareGuest } from "../support/vmm-setting.ts";

const MIB = 2 ** 20;

/** What only a real guest can show of its drives: mounts, who holds them, how they grow. */
let guest: BareGuest;
let client: GuestClient;
before(async () => {
  guest = await openBareGuest("drives");
  client = guest.client;
});
after(() => guest?.close());

let count = 0;
async function plugIn(changes: Partial<AttachedDrive> = {}): Promise<AttachedDrive> {
  const file = path.join(guest.setting.folder, `data-${count++}`);
  await createOverlayDrive(file, 64);
  const drive = { serial: `d-${randomBytes(3).toString("hex")}`, slot: count, path: file, readOnly: false, ...changes };
  await guest.setting.driver.attachDrive(guest.record, guest.config, drive);
  return drive;
}
const unplug = (drive: AttachedDrive) => guest.setting.driver.detachDrive(guest.record, drive.serial);
const out = async (script: string) => {
  const { stdout, stderr } = await exec(client, sh(script));
  return `${stdout}${stderr}`.trim();
};
const failed = (code: string, words: RegExp) => (error: unknown) =>
  (error as FirebreakError).code === code && words.test((error as Error).message);

test("the first drive brings its modules, and no boot does", async () => {
  assert.equal(await out("grep -c ^scsi_mod /proc/modules"), "0");
  const drive = await plugIn();
  const { device } = await client.driveAttach(drive.serial, { path: "/mnt/data" });
  assert.match(await out("cut -d' ' -f1 /proc/modules"), /sd_mod[\s\S]*virtio_scsi/);
  assert.match(await out("grep /mnt/data /proc/mounts"), new RegExp(`^${device} /mnt/data ext4 rw`));
  // Again is the same; elsewhere is another thing.
  await client.driveAttach(drive.serial, { path: "/mnt/data" });
  await assert.rejects(client.driveAttach(drive.serial, { path: "/mnt/other" }), failed("DRIVE_BUSY", /mounted at/));
  await client.driveDetach(drive.serial, false);
  assert.equal(await out("grep -c /mnt/data /proc/mounts; ls /sys/block | grep -c ^sd"), "0\n0");
  await unplug(drive);
});

test("a drive in use is not let go of, and who uses it is named; by force it is, with what was written", async () => {
  const drive = await plugIn();
  await client.driveAttach(drive.serial, { path: "/mnt/held" });
  await out("echo kept > /mnt/held/note; setsid sleep 1000 < /mnt/held/note > /dev/null 2>&1 &");
  await assert.rejects(
    client.driveDetach(drive.serial, false),
    failed("DRIVE_BUSY", /\/mnt\/held is in use by (setsid|sleep) \(pid \d+\)/),
  );
  assert.equal(await out("cat /mnt/held/note"), "kept");
  await client.driveDetach(drive.serial, true);
  await unplug(drive);
  assert.equal(await out("ls /mnt/held"), "");
  await guest.setting.driver.attachDrive(guest.record, guest.config, drive);
  await client.driveAttach(drive.serial, { path: "/mnt/held" });
  assert.equal(await out("cat /mnt/held/note"), "kept");
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
});

test("a mount that the agent does not see is seen as a use", async () => {
  const drive = await plugIn();
  const { device } = await client.driveAttach(drive.serial, {});
  await out(`unshare -m sh -c 'mount ${device} /mnt && touch /tmp/ready && exec sleep 1000' > /dev/null 2>&1 &
    while [ ! -e /tmp/ready ]; do sleep 0.05; done`);
  await assert.rejects(client.driveDetach(drive.serial, false), failed("DRIVE_BUSY", /in use by/));
  await client.driveDetach(drive.serial, true);
  await unplug(drive);
});

test("a file system is grown while it is in use, and when it is mounted on a drive that has grown meanwhile", async () => {
  const drive = await plugIn();
  await client.driveAttach(drive.serial, { path: "/mnt/grows" });
  const sizeMib = async () => Number(await out("df -m --output=size /mnt/grows | tail -1"));
  assert.ok((await sizeMib()) < 64);
  await out("echo before > /mnt/grows/note");
  await guest.setting.driver.growDrive(guest.record, drive.serial, 512 * MIB);
  await client.driveGrow(drive.serial, 512 * MIB);
  assert.ok((await sizeMib()) > 400);
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
  await truncate(drive.path, 1024 * MIB);
  await guest.setting.driver.attachDrive(guest.record, guest.config, drive);
  await client.driveAttach(drive.serial, { path: "/mnt/grows" });
  assert.ok((await sizeMib()) > 900);
  assert.equal(await out("cat /mnt/grows/note; head -c 700M /dev/zero > /mnt/grows/big; echo $?"), "before\n0");
  assert.match(await out("head -c 700M /dev/zero > /mnt/grows/more; echo $?"), /^1\n.*No space left/);
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
});

test("a read-only drive is mounted so, and one that was torn away is put in order by a writer", async () => {
  const drive = await plugIn();
  await client.driveAttach(drive.serial, { path: "/mnt/ro" });
  await out("echo torn > /mnt/ro/note; sync");
  await unplug(drive);
  await client.driveDetach(drive.serial, true);
  const readOnly = { ...drive, readOnly: true };
  await guest.setting.driver.attachDrive(guest.record, guest.config, readOnly);
  await assert.rejects(
    client.driveAttach(drive.serial, { path: "/mnt/ro", readOnly: true }),
    failed("DRIVE_MOUNT_FAILED", /attach it writable once/),
  );
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
  await guest.setting.driver.attachDrive(guest.record, guest.config, drive);
  await client.driveAttach(drive.serial, { path: "/mnt/ro" });
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
  await guest.setting.driver.attachDrive(guest.record, guest.config, readOnly);
  await client.driveAttach(drive.serial, { path: "/mnt/ro", readOnly: true });
  assert.match(await out("cat /mnt/ro/note; touch /mnt/ro/x"), /^torn\n.*Read-only file system/);
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
});

test("what cannot be mounted says why", async () => {
  const drive = await plugIn();
  await out("ln -sfn /etc /mnt/link; mkdir -p /mnt/dir; touch /mnt/file");
  for (const [place, words] of [
    ["/mnt/link", /leads somewhere else/],
    ["/mnt/link/x", /leads somewhere else/],
    ["/mnt/file", /./],
  ] as const)
    await assert.rejects(client.driveAttach(drive.serial, { path: place }), failed("DRIVE_MOUNT_FAILED", words), place);
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
  await writeFile(drive.path, Buffer.alloc(MIB, 7));
  await guest.setting.driver.attachDrive(guest.record, guest.config, drive);
  await assert.rejects(
    client.driveAttach(drive.serial, { path: "/mnt/dir" }),
    failed("DRIVE_MOUNT_FAILED", /no ext4 file system/),
  );
  await client.driveDetach(drive.serial, false);
  await unplug(drive);
  await assert.rejects(
    client.driveAttach("d-none", { path: "/mnt/dir" }, { deadlineMs: 20_000 }),
    failed("DRIVE_MOUNT_FAILED", /no drive with the serial d-none has come/),
  );
});
