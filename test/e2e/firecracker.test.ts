import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Vm } from "../../src/contract/vm.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { installFirecrackers } from "../support/firecracker-programs.ts";

/** A fake of Firecracker with real guests behind it, driven by a whole daemon. */
let fixture: DaemonFixture;
let programs: Awaited<ReturnType<typeof installFirecrackers>>;
before(async () => {
  programs = await installFirecrackers();
  fixture = await startDaemonFixture({ env: programs.env });
  await configure('[vms]\ndriver = "firecracker"');
});
after(async () => {
  await fixture.close();
  await rm(programs.folder, { recursive: true });
});

const configure = (...lines: string[]) => writeFile(path.join(fixture.paths.home, "firebreak.toml"), lines.join("\n"));
const run = async (vm: string, ...argv: string[]) => (await fixture.ok("vm", "exec", vm, "--", ...argv)).stdout;

test("doctor says which driver new VMs have, and why", async () => {
  const checks = await fixture.client.doctor();
  const about = (name: string) => checks.find((check) => check.name === name)?.message ?? "";
  assert.match(about("firecracker"), /^firecracker 1\.16\.1/);
  assert.match(about("qemu"), /^qemu \d/);
  assert.match(about("driver"), /^new VMs have firecracker: it is what/);
});

test("a VM of Firecracker's is forked, works, is saved, forked again and brought back", async () => {
  const made = await fixture.json<Vm>("vm", "create", "fc");
  assert.deepEqual([made.driver, made.accel, made.origin, made.state], ["firecracker", "kvm", "template", "running"]);
  const file = path.join(fixture.folder, "sent");
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
  await writeFile(file, bytes);
  await fixture.ok("vm", "cp", file, "fc:/root/sent");
  await fixture.ok("snapshot", "create", "fc", "point");
  await run("fc", "rm", "/root/sent");
  await fixture.ok("snapshot", "fork", "point", "other");
  await fixture.ok("vm", "cp", "other:/root/sent", `${file}.back`);
  assert.deepEqual(await readFile(`${file}.back`), bytes);
  assert.equal(await run("other", "hostname"), "other\n");
  await fixture.ok("snapshot", "restore", "point");
  assert.equal(await run("fc", "stat", "-c", "%s", "/root/sent"), "100000\n");
});

test("a VM of Firecracker's outlives its daemon, is suspended, stopped and started", async () => {
  await fixture.ok("daemon", "stop");
  // What a probe is known by, which a daemon that was killed has left.
  const words = ["-e", "setInterval(() => {}, 1000)", "--", "--api-sock", `${fixture.paths.runtime}/probe/root/api`];
  const probe = spawn(process.execPath, words, { stdio: "ignore" });
  const probeEnd = new Promise((resolve) => probe.once("exit", (_, signal) => resolve(signal)));
  await fixture.ok("daemon", "start");
  assert.equal(await probeEnd, "SIGKILL");
  assert.equal(await run("fc", "hostname"), "fc\n");
  await fixture.ok("vm", "suspend", "fc");
  assert.equal(await run("fc", "stat", "-c", "%s", "/root/sent"), "100000\n");
  await fixture.ok("vm", "stop", "fc");
  const again = await fixture.json<Vm>("vm", "start", "fc");
  assert.deepEqual([again.driver, again.state], ["firecracker", "running"]);
  assert.equal(await run("fc", "stat", "-c", "%s", "/root/sent"), "100000\n");
});

test("a VM of Firecracker's has a balloon where the operator wants one, and its guest a driver of it", async () => {
  const devices = ["sh", "-c", "ls /sys/bus/virtio/drivers/virtio_balloon 2>/dev/null | grep -c '^virtio' || true"];
  assert.equal(await run("fc", ...devices), "0\n");
  await configure('[vms]\ndriver = "firecracker"', "[firecracker]", "balloon = true");
  await fixture.ok("vm", "create", "b", "--cold");
  assert.equal(await run("b", ...devices), "1\n");
  await fixture.ok("vm", "delete", "b");
  await configure('[vms]\ndriver = "firecracker"');
});

test("what Firecracker cannot do is refused at once, or left to QEMU", async () => {
  await fixture.ok("volume", "create", "data");
  const volume = await fixture.cli(["vm", "create", "--driver", "firecracker", "--volume", "data:/data"]);
  assert.match(volume.stderr, /cannot have the driver firecracker \(DRIVE_UNSUPPORTED\)\n.*--driver qemu/);
  const emulated = await fixture.cli(["vm", "create", "--accel", "tcg"]);
  assert.match(emulated.stderr, /no emulation \(ACCEL_UNAVAILABLE\)/);
  const none = await fixture.cli(["vm", "create", "--driver", "vmware"]);
  assert.match(none.stderr, /auto, qemu, firecracker/);
  const other = await fixture.json<Vm>("vm", "create", "q", "--driver", "qemu");
  assert.equal(other.driver, "qemu");
  assert.equal(await run("q", "hostname"), "q\n");
  await configure('[vms]\ndriver = "auto"');
  const auto = await fixture.json<Vm>("vm", "create", "v", "--volume", "data:/data");
  assert.equal(auto.driver, "qemu");
});
