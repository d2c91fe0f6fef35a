import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Vm, VmState } from "../../src/contract/vm.ts";
import { type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

async function create(name: string): Promise<Vm> {
  const result = await fixture.cli(["vm", "create", name, "--json"]);
  assert.equal(result.exitCode, 0, result.stderr);
  return JSON.parse(result.stdout) as Vm;
}
const exec = (vm: string, script: string) => fixture.cli(["vm", "exec", vm, "--", "sh", "-c", script]);
const waitForState = (name: string, state: VmState) => waitForVmState(fixture.client, name, state);

test("a VM has its name, its own identity, and a user of its own on the host", async () => {
  const vm = await create("first");
  assert.deepEqual([vm.state, vm.image], ["running", "debian"]);
  const identity = await exec("first", "hostname; cat /etc/machine-id; date +%s");
  const [hostname, machineId, seconds] = identity.stdout.trim().split("\n");
  assert.equal(hostname, "first");
  assert.match(machineId ?? "", /^[0-9a-f]{32}$/);
  assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 30, "the clock is right");
  if (process.getuid?.() === 0) {
    const vmm = (await listProcesses(fixture.folder)).find((process) => process.pid === vm.pid);
    const { readFileSync } = await import("node:fs");
    const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${vm.pid}/status`, "utf8"))?.[1];
    assert.ok(vmm !== undefined && Number(uid) > 0, "the VMM is not root");
    assert.match(readFileSync(`/proc/${vm.pid}/status`, "utf8"), /^Seccomp:\t2$/m);
  }
});

test("list and get show it, for people and for programs", async () => {
  assert.match((await fixture.cli(["vm", "list"])).stdout, /NAME +STATE[\s\S]*first +running/);
  assert.match((await fixture.cli(["vm", "get", "first"])).stdout, /state +running/);
  assert.equal(
    JSON.parse((await fixture.cli(["vm", "get", "first", "--json"])).stdout).stats.guest.processes > 0,
    true,
  );
});

test("a name that is taken is refused", async () => {
  const result = await fixture.cli(["vm", "create", "first"]);
  assert.equal(result.exitCode, 4);
  assert.match(result.stderr, /VM_ALREADY_EXISTS/);
});

test("a stop syncs and keeps the disk, a start finds it again", async () => {
  await exec("first", "echo kept > /root/kept");
  assert.match((await fixture.cli(["vm", "stop", "first"])).stdout, /stopped/);
  const refused = await exec("first", "true");
  assert.equal(refused.exitCode, 125);
  assert.match(refused.stderr, /VM_STATE_CONFLICT[\s\S]*firebreak vm start first/);
  assert.equal((await fixture.cli(["vm", "start", "first"])).exitCode, 0);
  assert.equal((await exec("first", "cat /root/kept")).stdout, "kept\n");
});

test("a guest that powers off is stopped, not crashed", async () => {
  await fixture.cli([
    "vm",
    "exec",
    "first",
    "--",
    "sh",
    "-c",
    "echo 1 > /proc/sys/kernel/sysrq; (sleep 0.3; echo o > /proc/sysrq-trigger) &",
  ]);
  assert.equal((await waitForState("first", "stopped")).reason, undefined);
  await fixture.cli(["vm", "start", "first"]);
});

test("a guest kernel that panics is a crash with the kernel's words", async () => {
  await fixture.cli([
    "vm",
    "exec",
    "first",
    "--",
    "sh",
    "-c",
    "echo 1 > /proc/sys/kernel/sysrq; (sleep 0.3; echo c > /proc/sysrq-trigger) &",
  ]);
  const vm = await waitForState("first", "crashed");
  assert.match(vm.reason ?? "", /panic/i);
  assert.match((await fixture.cli(["vm", "logs", "first"])).stdout, /sysrq triggered crash/i);
  assert.equal((await fixture.cli(["vm", "start", "first"])).exitCode, 0);
});

test("a VMM that is killed ends a command that runs in it with an error, and makes the VM crashed", async () => {
  const { pid } = await fixture.client.vms.get("first");
  const running = fixture.cli(["vm", "exec", "first", "--", "sleep", "600"]);
  while (
    !(await fixture.client.execs.list("first")).some((entry) => entry.state === "running" && entry.argv[1] === "600")
  )
    await sleep(50);
  assert.ok(pid !== undefined && pid > 1);
  process.kill(pid, "SIGKILL");
  await waitForState("first", "crashed");
  const result = await running;
  assert.equal(result.exitCode, 125);
  assert.match(result.stderr, /VM_CRASHED/);
  await fixture.cli(["vm", "start", "first"]);
});

test("a daemon that is killed loses no VM: the next one adopts it, and what runs in it goes on", async () => {
  const before = await fixture.client.vms.get("first");
  await exec("first", "(for i in 1 2 3 4 5 6 7 8 9; do echo $i >> /root/ticks; sleep 0.5; done) > /dev/null 2>&1 &");
  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  await sleep(300);
  const after = JSON.parse((await fixture.cli(["vm", "get", "first", "--json"])).stdout) as Vm;
  assert.deepEqual([after.state, after.pid], ["running", before.pid]);
  await sleep(1500);
  assert.ok((await exec("first", "cat /root/ticks")).stdout.startsWith("1\n2\n"));
});

test("a second daemon for the same home is refused, also two at once", async () => {
  const { spawnSync } = await import("node:child_process");
  const { entryPath } = await import("../../src/platform/package-files.ts");
  const second = spawnSync(process.execPath, [entryPath("daemon/entry")], { env: fixture.env, encoding: "utf8" });
  assert.equal(second.status, 4);
  assert.match(second.stderr, /DAEMON_ALREADY_RUNNING/);
  await fixture.cli(["daemon", "stop"]);
  const both = await Promise.all([
    fixture.cli(["daemon", "start"]),
    fixture.cli(["daemon", "start"]),
    fixture.cli(["vm", "list"]),
  ]);
  assert.deepEqual(
    both.map((result) => result.exitCode),
    [0, 0, 0],
  );
  assert.equal((await fixture.client.vms.get("first")).state, "running");
});

test("a daemon that is stopped ends the commands that it carries, and the next command finds the next daemon", async () => {
  const running = fixture.cli(["vm", "exec", "first", "--", "sleep", "3331"]);
  while (
    !(await fixture.client.execs.list("first")).some((entry) => entry.state === "running" && entry.argv[1] === "3331")
  )
    await sleep(50);
  await fixture.cli(["daemon", "stop"]);
  assert.equal((await exec("first", "true")).exitCode, 0);
  assert.equal((await running).exitCode, 125);
  await waitFor(async () => (await exec("first", "pgrep -fx 'sleep 3331' | wc -l")).stdout.trim() === "0");
});

test("a forced stop does not wait for a graceful one", async () => {
  await exec("first", "trap '' TERM; (while :; do sleep 1; done) > /dev/null 2>&1 &");
  const graceful = fixture.cli(["vm", "stop", "first", "--time", "10m"]);
  while ((await fixture.client.vms.get("first")).state !== "stopping") await sleep(20);
  assert.equal((await fixture.cli(["vm", "stop", "first", "--force"])).exitCode, 0);
  await graceful;
  assert.equal((await fixture.cli(["vm", "start", "first"])).exitCode, 0);
});

test("a deletion leaves nothing: no process, no socket, no folder, no row", async () => {
  const vm = await fixture.client.vms.get("first");
  assert.equal((await fixture.cli(["vm", "delete", "first"])).stdout, "first\n");
  assert.equal((await fixture.cli(["vm", "get", "first"])).exitCode, 3);
  assert.equal(existsSync(path.join(fixture.paths.vms, vm.id)), false);
  assert.equal(existsSync(path.join(fixture.paths.runtime, "v", vm.id)), false);
  assert.ok(!(await listProcesses(fixture.folder)).some((process) => process.pid === vm.pid));
});

test("a VM is deleted while it boots", async () => {
  const creating = fixture.cli(["vm", "create", "brief", "--cold"]);
  while (!(await fixture.client.vms.list()).some((vm) => vm.name === "brief" && vm.state === "starting"))
    await sleep(20);
  assert.equal((await fixture.cli(["vm", "delete", "brief"])).exitCode, 0);
  assert.notEqual((await creating).exitCode, 0);
  assert.deepEqual(await fixture.client.vms.list(), []);
});

test("doctor finds this host in order and no left-overs", async () => {
  const result = JSON.parse((await fixture.cli(["doctor", "--json"])).stdout);
  assert.deepEqual(
    result.checks.filter((check: { ok: boolean; optional?: boolean }) => !check.ok && !check.optional),
    [],
  );
  const { stdout } = await fixture.ok("doctor");
  assert.match(stdout, /^(ok|-) +firecracker /m);
  assert.doesNotMatch(stdout, /FAIL/);
});

test("a missing QEMU, or one that dies at its start, is one clear error", async () => {
  const fake = path.join(fixture.folder, "bad-qemu");
  const { writeFileSync } = await import("node:fs");
  writeFileSync(
    fake,
    "#!/bin/sh\ncase $* in *--version*) echo 'QEMU emulator version 7.2.0'; exit 0;; esac\necho 'it broke' >&2\nexit 1\n",
    { mode: 0o755 },
  );
  for (const [program, code] of [
    ["/no/such/qemu", "VMM_NOT_FOUND"],
    [fake, "VMM_START_FAILED"],
  ] as const) {
    const other = await startDaemonFixture({ env: { FIREBREAK_QEMU: program } });
    try {
      const result = await other.cli(["run", "--accel", "tcg", "--", "true"]);
      assert.match(result.stderr, new RegExp(code));
      assert.deepEqual(await other.client.vms.list(), []);
    } finally {
      await other.close();
    }
  }
});

test("a truncated image is refused by name before anything starts", async () => {
  const other = await startDaemonFixture();
  try {
    const { cpSync, readdirSync, rmSync, truncateSync } = await import("node:fs");
    const images = path.join(other.folder, "home", "images");
    const shared = path.resolve(images);
    const copy = path.join(other.folder, "images");
    cpSync(shared, copy, { recursive: true, dereference: true });
    rmSync(images);
    cpSync(copy, images, { recursive: true });
    for (const name of readdirSync(images).filter((entry) => /^[0-9a-f]{16}$/.test(entry))) {
      truncateSync(path.join(images, name, "rootfs.squashfs"), 1_000_000);
    }
    const result = await other.cli(["run", "--", "true"]);
    assert.equal(result.exitCode, 125);
    assert.match(result.stderr, /IMAGE_CORRUPT[\s\S]*firebreak image build/);
    assert.deepEqual(await other.client.vms.list(), []);
  } finally {
    await other.close();
  }
});

test("a guest agent that cannot run is a boot that failed, with the kernel's words", async () => {
  // On the host it is the real agent; as PID 1 of a guest it ends at once, and a kernel does not survive that.
  const { execFileSync } = await import("node:child_process");
  const { agentBinaryPath } = await import("../../src/platform/package-files.ts");
  const broken = path.join(fixture.folder, "broken-agent");
  const source = `#include <unistd.h>\nint main(int c, char **v) { return c > 1 ? execv("${agentBinaryPath()}", v) : 0; }`;
  execFileSync("cc", ["-static", "-x", "c", "-", "-o", broken], { input: source });
  const other = await startDaemonFixture({ env: { FIREBREAK_AGENT: broken } });
  try {
    const result = await other.cli(["run", "--accel", "tcg", "--", "true"]);
    assert.equal(result.exitCode, 125);
    assert.match(result.stderr, /VM_BOOT_FAILED/);
    assert.match(result.stderr, /the guest kernel panicked/);
    assert.deepEqual(await other.client.vms.list(), []);
  } finally {
    await other.close();
  }
});

test("a runtime folder that is too long for sockets is refused with what to do", async () => {
  const result = await fixture.cli(["vm", "list"], { env: { FIREBREAK_RUNTIME_DIR: `/tmp/${"x".repeat(110)}` } });
  assert.equal(result.exitCode, 2);
  assert.match(result.stderr, /SOCKET_PATH_TOO_LONG[\s\S]*FIREBREAK_RUNTIME_DIR/);
});
