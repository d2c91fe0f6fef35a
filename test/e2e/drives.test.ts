import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Drive, VmDrive } from "../../src/contract/drive.ts";
import type { Vm } from "../../src/contract/vm.ts";
import { type CliResult, type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
  // A kernel that was fetched by an earlier firebreak has no modules for drives.
  await ok("kernel", "use", "stock");
  await ok("vm", "create", "one");
  await ok("vm", "create", "two");
});
after(() => fixture.close());

const ok = (...args: string[]) => fixture.ok(...args);
const json = <T>(...args: string[]) => fixture.json<T>(...args);
const sh = async (vm: string, script: string) =>
  (await ok("vm", "exec", vm, "--", "sh", "-c", script)).stdout.trimEnd();
async function refused(code: string, ...args: string[]): Promise<CliResult> {
  const result = await fixture.cli(args);
  assert.match(result.stderr, new RegExp(`\\(${code}\\)`), `${args.join(" ")} ended with ${result.exitCode}`);
  return result;
}
async function killDaemon(): Promise<void> {
  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  await waitFor(async () => (await fixture.cli(["vm", "list"])).exitCode === 0);
}
/** The drives that a VM has, as it and the store have them. */
const drivesOf = async (vm: string) =>
  (await json<{ drives: VmDrive[] }>("drive", "list", "--vm", vm)).drives.map(
    ({ drive, state }) => `${drive.name} ${state}`,
  );

describe("a drive", () => {
  test("goes from one VM that runs to another, with the same bytes", async () => {
    assert.equal((await ok("drive", "create", "data", "--size", "256M")).stdout, "data\n");
    assert.match(
      (await ok("drive", "attach", "one", "data", "--path", "/mnt/data")).stdout,
      /^data is at \/mnt\/data in one/,
    );
    const sum = await sh("one", "head -c 20M /dev/urandom > /mnt/data/bytes; sync; sha256sum < /mnt/data/bytes");
    assert.match((await refused("DRIVE_IN_USE", "drive", "attach", "two", "data")).stderr, /drive detach one data/);
    const swapped = await refused("VM_NOT_FOUND", "drive", "attach", "data", "two");
    assert.match(swapped.stderr, /The VM comes first: firebreak drive attach two data/);
    await refused("DRIVE_IN_USE", "drive", "delete", "data");
    await ok("drive", "detach", "one", "data");
    assert.equal(await sh("one", "ls /mnt/data; ls /sys/block | grep -c ^sd || true"), "0");
    await ok("drive", "attach", "two", "data", "--path", "/srv/data");
    assert.equal(await sh("two", "sha256sum < /srv/data/bytes"), sum);
    assert.match((await ok("drive", "list")).stdout, /data +ext4 +256 MiB .* two at \/srv\/data /);
    await ok("drive", "detach", "two", "data");
  });

  test("is made of a directory of this host, whose files become root's, without root's help", async () => {
    const folder = path.join(fixture.folder, "content");
    await mkdir(path.join(folder, "sub"), { recursive: true });
    await writeFile(path.join(folder, "sub", "file"), "of the host", { mode: 0o640 });
    for (let count = 0; count < 300; count++) await writeFile(path.join(folder, `f${count}`), String(count));
    const drive = await json<Drive>("drive", "create", "site", "--from", folder);
    assert.deepEqual([drive.format, drive.sizeMib], ["ext4", 64]);
    await ok("drive", "attach", "one", "site", "--path", "/mnt/site", "--read-only");
    await ok("drive", "attach", "two", "site", "--path", "/mnt/site", "--read-only");
    for (const vm of ["one", "two"])
      assert.equal(
        await sh(vm, "cat /mnt/site/sub/file; stat -c ' %U %a' /mnt/site/sub/file; ls /mnt/site | wc -l"),
        "of the host root 640\n302",
      );
    await refused("DRIVE_IN_USE", "drive", "grow", "site", "1G");
    await ok("drive", "detach", "two", "site");
  });

  test("that is read-only is not written to by a guest that goes to the device itself", async () => {
    const { id } = await json<Drive>("drive", "get", "site");
    const file = path.join(fixture.paths.drives, `${id}.img`);
    const digest = async () =>
      createHash("sha256")
        .update(await readFile(file))
        .digest("hex");
    const before = await digest();
    const device = await sh("one", "grep /mnt/site /proc/mounts | cut -d' ' -f1");
    const attack = `blockdev --setrw ${device}; mount -o remount,rw /mnt/site; touch /mnt/site/x;
      dd if=/dev/zero of=${device} bs=64k count=16 conv=fsync; sync; true`;
    await sh("one", `(${attack}) > /dev/null 2>&1`);
    assert.equal(await digest(), before);
    await ok("drive", "detach", "one", "site");
  });

  test("is made of a disk image, byte by byte", async () => {
    const image = path.join(fixture.folder, "disk.img");
    const head = randomBytes(70_000);
    await writeFile(image, head);
    await truncate(image, 40 * 2 ** 20);
    const drive = await json<Drive>("drive", "create", "disk", "--from", image, "--size", "48M");
    assert.deepEqual([drive.format, drive.sizeMib], ["raw", 48]);
    assert.ok(drive.usedBytes < 2 ** 20);
    const { device } = await json<VmDrive>("drive", "attach", "one", "disk");
    const sum = createHash("sha256").update(head).digest("hex");
    assert.equal(
      await sh("one", `head -c 70000 ${device} | sha256sum | cut -d' ' -f1; blockdev --getsize64 ${device}`),
      `${sum}\n${48 * 2 ** 20}`,
    );
    await ok("drive", "detach", "one", "disk");
    await refused("INVALID_ARGUMENT", "drive", "create", "small", "--from", image, "--size", "32M");
    await refused("HOST_PATH_NOT_FOUND", "drive", "create", "none", "--from", "/nonexistent");
    await refused("DRIVE_NOT_FOUND", "drive", "get", "small");
    await refused("DRIVE_NOT_FOUND", "volume", "get", "disk");
  });

  test("grows while it is in use, is full when it is full, and says so in the guest only", async () => {
    await ok("drive", "attach", "one", "data", "--path", "/mnt/data");
    assert.equal(await sh("one", "head -c 400M /dev/zero > /mnt/data/big; echo $?"), "1");
    assert.match((await ok("drive", "grow", "data", "1G")).stdout, /1024 MiB/);
    assert.equal(await sh("one", "head -c 400M /dev/zero > /mnt/data/big; echo $?; rm /mnt/data/big"), "0");
    await refused("INVALID_ARGUMENT", "drive", "grow", "data", "512M");
    await ok("drive", "detach", "one", "data");
    assert.equal((await json<Drive>("drive", "grow", "data", "2G")).sizeMib, 2048);
    await ok("drive", "attach", "one", "data", "--path", "/mnt/data");
    assert.ok(Number(await sh("one", "df -m --output=size /mnt/data | tail -1")) > 1900);
  });

  test("that something uses is not taken, unless by force", async () => {
    await sh("one", "cd /mnt/data && setsid sleep 1000 > /dev/null 2>&1 &");
    const { stderr } = await refused("DRIVE_BUSY", "drive", "detach", "one", "data");
    assert.match(stderr, /in use by (setsid|sleep) \(pid \d+\)[\s\S]*drive detach --force one data/);
    assert.deepEqual(await drivesOf("one"), ["data attached"]);
    await sh("one", "echo kept > /mnt/data/note");
    await ok("drive", "detach", "--force", "one", "data");
    await ok("drive", "attach", "two", "data", "--path", "/mnt/data");
    assert.equal(await sh("two", "cat /mnt/data/note"), "kept");
    await ok("drive", "detach", "two", "data");
  });

  test("is there again after a stop, a crash of the VMM and a suspension", async () => {
    await ok("drive", "attach", "one", "data", "--path", "/mnt/data");
    await ok("vm", "stop", "one");
    await refused("DRIVE_IN_USE", "drive", "attach", "two", "data");
    await ok("vm", "start", "one");
    assert.equal(await sh("one", "cat /mnt/data/note"), "kept");
    process.kill((await fixture.client.vms.get("one")).pid as number, "SIGKILL");
    await waitForVmState(fixture.client, "one", "crashed");
    await ok("vm", "start", "one");
    const held = (
      await ok(
        "vm",
        "exec",
        "one",
        "--detach",
        "--",
        "sh",
        "-c",
        "exec 3>>/mnt/data/log; while :; do echo x >&3; sleep 0.1; done",
      )
    ).stdout.trim();
    await ok("vm", "suspend", "one");
    await refused("DRIVE_IN_USE", "drive", "attach", "two", "data");
    const size = async () => Number(await sh("one", "stat -c %s /mnt/data/log"));
    const now = await size();
    await waitFor(async () => (await size()) > now);
    await ok("vm", "kill", "one", held);
    await ok("drive", "grow", "data", "3G");
    assert.ok(Number(await sh("one", "df -m --output=size /mnt/data | tail -1")) > 2500);
  });

  test("is no part of a snapshot: a fork has none, and the VM has it before and after, as it is now", async () => {
    await sh("one", "echo then > /mnt/data/note; echo then > /root/note");
    const busy = (
      await ok("vm", "exec", "one", "--detach", "--", "sh", "-c", "cd /mnt/data; exec sleep 1000")
    ).stdout.trim();
    await refused("DRIVE_BUSY", "snapshot", "create", "one", "taken");
    assert.deepEqual(await drivesOf("one"), ["data attached"]);
    assert.equal(await sh("one", "cat /mnt/data/note"), "then");
    await ok("vm", "kill", "one", busy);
    await ok("snapshot", "create", "one", "taken");
    await sh("one", "echo now > /mnt/data/note; echo now > /root/note");
    await ok("snapshot", "fork", "taken", "twin");
    assert.equal(await sh("twin", "cat /root/note; ls /mnt/data"), "then");
    assert.deepEqual(await drivesOf("twin"), []);
    await ok("vm", "fork", "one", "second");
    assert.deepEqual(await drivesOf("second"), []);
    await ok("drive", "attach", "twin", "site", "--path", "/mnt/site", "--read-only");
    assert.equal(await sh("twin", "cat /mnt/site/sub/file"), "of the host");
    await ok("snapshot", "restore", "taken");
    assert.equal(await sh("one", "cat /root/note /mnt/data/note"), "then\nnow");
    await ok("vm", "delete", "twin", "second");
    assert.equal((await json<Drive>("drive", "get", "site")).attachments.length, 0);
  });

  test("is found again by the next daemon", async () => {
    await killDaemon();
    assert.equal(await sh("one", "cat /mnt/data/note"), "now");
    assert.deepEqual(await drivesOf("one"), ["data attached"]);
    await ok("drive", "detach", "one", "data");
    await ok("drive", "attach", "two", "data", "--path", "/mnt/data");
    assert.equal(await sh("two", "cat /mnt/data/note"), "now");
  });

  test("that a hostile guest holds on to is taken by force, and its VM stopped and deleted", async () => {
    // An agent that answers nobody any more.
    await ok("vm", "pause", "two");
    await refused("VM_STATE_CONFLICT", "drive", "detach", "two", "data");
    await ok("drive", "detach", "--force", "two", "data");
    await ok("drive", "attach", "one", "data", "--path", "/mnt/data");
    assert.equal(await sh("one", "cat /mnt/data/note"), "now");
    await ok("vm", "resume", "two");
  });

  test("outlives its VM, and goes with all that is on it when it is deleted", async () => {
    await ok("vm", "delete", "one");
    const { id, attachments } = await json<Drive>("drive", "get", "data");
    assert.deepEqual(attachments, []);
    await ok("drive", "delete", "data", "site", "disk");
    await assert.rejects(stat(path.join(fixture.paths.drives, `${id}.img`)));
    assert.match((await ok("drive", "list")).stdout, /^No drives/);
  });
});

describe("a volume", () => {
  test("is mounted in the VMs that are made with it, one after the other", async () => {
    await ok("volume", "create", "cache", "--size", "128M");
    await ok("vm", "create", "first", "--volume", "cache:/var/cache/app");
    await sh("first", "echo warm > /var/cache/app/state");
    await refused("DRIVE_IN_USE", "vm", "create", "second", "--volume", "cache:/mnt");
    await refused("DRIVE_NOT_FOUND", "vm", "create", "second", "--volume", "none:/mnt");
    await refused("INVALID_ARGUMENT", "vm", "create", "second", "--volume", "cache:/proc/x");
    await ok("vm", "delete", "first");
    const { stdout } = await ok(
      "run",
      "--volume",
      "cache:/mnt:ro",
      "--",
      "sh",
      "-c",
      "cat /mnt/state; touch /mnt/x 2>&1 || true",
    );
    assert.match(stdout, /^warm\n.*Read-only file system/);
    const vm = await json<Vm>("vm", "create", "third", "--cold", "--volume", "cache:/mnt");
    assert.equal(vm.origin, "boot");
    assert.equal(await sh("third", "cat /mnt/state"), "warm");
    assert.match((await ok("volume", "list")).stdout, /cache +ext4 +128 MiB .* third at \/mnt /);
    await refused("DRIVE_IN_USE", "volume", "delete", "cache");
    await ok("vm", "delete", "third");
    await ok("volume", "delete", "cache");
  });

  test("that a guest cannot mount keeps its VM from starting, which says so, until it is detached", async () => {
    const image = path.join(fixture.folder, "damaged.img");
    const damaged = Buffer.alloc(32 * 2 ** 20, 0xff);
    damaged.writeUInt16LE(0xef53, 1024 + 0x38);
    await writeFile(image, damaged);
    await ok("drive", "create", "damaged", "--from", image);
    await refused("DRIVE_MOUNT_FAILED", "vm", "create", "fourth", "--volume", "damaged:/mnt");
    await refused("DRIVE_MOUNT_FAILED", "drive", "attach", "two", "damaged", "--path", "/mnt");
    assert.deepEqual(await drivesOf("two"), []);
    await ok("vm", "stop", "two");
    assert.match((await ok("drive", "attach", "two", "damaged", "--path", "/mnt")).stdout, /from its next start on/);
    await refused("DRIVE_MOUNT_FAILED", "vm", "start", "two");
    await ok("drive", "detach", "two", "damaged");
    await ok("vm", "start", "two");
    await ok("drive", "delete", "damaged");
  });
});
