import assert from "node:assert/strict";
import { test } from "node:test";
import type { VmmConfig } from "../driver.ts";
import { buildQemuArgs } from "./command-line.ts";

const config: VmmConfig = {
  vmId: "abc",
  memoryMib: 256,
  cpus: 2,
  accel: "tcg",
  kernelPath: "/k",
  initrdPath: "/i",
  kernelArgs: ["extra=1"],
  drives: [
    { serial: "image", path: "/img", readOnly: true },
    { serial: "overlay", path: "/ovl", readOnly: false },
  ],
  runtimeDir: "/run/f,b/v/abc",
  logPath: "/log",
  uid: 1,
};
const args = (changes: Partial<VmmConfig> = {}) =>
  buildQemuArgs(
    { kind: "boot", config: { ...config, ...changes }, tscKhz: 2_596_000 },
    { kernel: 3, initrd: 4, drives: [5, 6] },
  );
const wordAfter = (list: string[], flag: string) => list[list.indexOf(flag) + 1] ?? "";

test("the VMM is sandboxed: it may spawn nothing and gain nothing", () => {
  assert.equal(
    wordAfter(args(), "-sandbox"),
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  );
});

test("no path of the host's files is on the command line, only inherited descriptors", () => {
  const line = args().join(" ");
  for (const path of ["/k ", "/i ", "/img", "/ovl"]) assert.ok(!line.includes(path), path);
  assert.match(line, /file=\/dev\/fdset\/1,.*readonly=on/);
});

test("under TCG the guest is told the TSC frequency, mitigates nothing and randomises no addresses, under KVM it is told none of that", () => {
  assert.match(
    wordAfter(args(), "-append"),
    /tsc_early_khz=2596000 tsc=reliable no_timer_check mitigations=off norandmaps extra=1/,
  );
  assert.doesNotMatch(wordAfter(args({ accel: "kvm" }), "-append"), /tsc|mitigations|norandmaps/);
  assert.deepEqual(args({ accel: "kvm" }).slice(args().indexOf("-accel"), args().indexOf("-accel") + 4), [
    "-accel",
    "kvm",
    "-cpu",
    "host",
  ]);
});

test("a full host disk stops the machine, and is no error in its guest", () => {
  assert.ok(args().some((word) => word.includes("/dev/fdset/2") && word.includes("werror=enospc")));
});

test("the host's cache keeps what is in a drive's file when a machine is restored", () => {
  const attached = { serial: "d-1", slot: 3, path: "/d", readOnly: false };
  const line = buildQemuArgs(
    { kind: "restore", config: { ...config, attached: [attached] } },
    { drives: [5, 6], memory: 7, attached: [8] },
  );
  const drives = line.filter((_word, index) => line[index - 1] === "-drive" || line[index - 1] === "-blockdev");
  assert.equal(drives.length, 3);
  for (const drive of drives) assert.match(drive, /drop-cache(=off|":false)/);
});

test("a comma in a socket's path is doubled, as QEMU's option parser wants it", () => {
  assert.ok(args().some((word) => word.includes("path=/run/f,,b/v/abc/control,server=on")));
});

test("the order of devices is fixed, since snapshots depend on it", () => {
  const devices = args().flatMap((word, index, all) => (all[index - 1] === "-device" ? [word.split(",")[0]] : []));
  assert.deepEqual(devices, [
    "virtio-serial-device",
    "virtconsole",
    "virtserialport",
    "virtio-blk-device",
    "virtio-blk-device",
    "virtio-rng-device",
    "virtio-scsi-device",
    "virtserialport",
    "virtio-net-device",
  ]);
});

test("a drive that had come when a machine was saved has its place and its serial again, and no path", () => {
  const attached = { serial: "d-1", slot: 3, path: "/srv/secret-place", readOnly: true };
  const line = buildQemuArgs(
    { kind: "restore", config: { ...config, attached: [attached] } },
    { drives: [5, 6], memory: 7, attached: [8] },
  );
  const [node, device] = line.filter((word) => word.startsWith("{")).map((word) => JSON.parse(word));
  assert.deepEqual([node["read-only"], node.file.filename, node.file["read-only"]], [true, "/dev/fdset/103", true]);
  assert.deepEqual(
    [device.driver, device["scsi-id"], device.serial, device.drive],
    ["scsi-hd", 3, "d-1", node["node-name"]],
  );
  assert.ok(line.includes("fd=8,set=103,opaque=d-1") && !line.join(" ").includes("secret-place"));
});
