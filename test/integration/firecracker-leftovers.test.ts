import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { chown, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { removeStrays } from "../../src/daemon/strays.ts";
import { resolvePaths } from "../../src/platform/paths.ts";
import { identifyProcess, isSameProcessAlive } from "../../src/platform/process.ts";
import { VmmDrivers } from "../../src/vmm/drivers.ts";
import type { FirecrackerDriverOptions } from "../../src/vmm/firecracker/driver.ts";
import { rootOf, savesFolder } from "../../src/vmm/firecracker/layout.ts";
import type { FakeSettings } from "../fakes/firecracker/install.ts";
import { openPretended, TEST_UID, UNJAILED } from "../support/pretended-firecracker.ts";
import { waitFor } from "../support/wait-for.ts";

/** What a daemon leaves that is killed, or that gives up, is ended and removed by the next. The machine is a pretended one. */

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-fc-"));
  chmodSync(folder, 0o711);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;
const open = (fake?: Partial<FakeSettings>, options?: Partial<FirecrackerDriverOptions>) =>
  openPretended(folder, fake, options);

/** Control groups of a VM, in all hierarchies. */
async function cgroupsOf(vmId: string): Promise<string[]> {
  const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  const found: string[] = [];
  for (const [, at = "", type] of mounts) {
    if (type !== "cgroup" && type !== "cgroup2") continue;
    for (const parent of ["firebreak-test", "firebreak-other"])
      if (existsSync(path.join(at, parent, vmId))) found.push(path.join(at, parent, vmId));
  }
  return found;
}

test("a VMM of a template that a killed daemon was making is ended, with its control groups", async () => {
  const { driver, config, own } = await open();
  const paths = resolvePaths({ FIREBREAK_HOME: path.join(own, "home"), FIREBREAK_RUNTIME_DIR: path.join(own, "r") });
  const runtimeDir = path.join(paths.runtime, "v", "t0123456789a");
  await mkdir(path.dirname(runtimeDir), { recursive: true });
  const record = await driver.start({ ...config, runtimeDir });
  try {
    // Another daemon, which has the VMs of the store and no others.
    const next = new VmmDrivers([(await open()).driver]);
    const strays = await removeStrays(
      paths,
      () => new Set(),
      (stray) => next.killUnrecorded(stray),
    );
    assert.deepEqual(strays.folders, [runtimeDir]);
    assert.equal(await isSameProcessAlive(record), false, "no process is left");
    assert.equal(existsSync(runtimeDir), false, "no folder is left");
    assert.deepEqual(await cgroupsOf(config.vmId), [], "no control group is left");
  } finally {
    await driver.kill(record);
  }
});

test("a probe that a killed daemon was at is ended by the next one's", { skip: !existsSync("/dev/kvm") }, async () => {
  const first = await open();
  const record = await first.driver.start({ ...first.config, runtimeDir: path.join(first.own, "probe") });
  try {
    await assert.rejects(first.driver.chooseAccel("kvm", first.config), { code: "ACCEL_UNAVAILABLE" });
    assert.equal(await isSameProcessAlive(record), false);
  } finally {
    await first.driver.kill(record);
  }
});

test("a probe that is given up by who began it goes on for others", { skip: !existsSync("/dev/kvm") }, async () => {
  const { driver, config } = await open();
  const givenUp = new AbortController();
  const begun = assert.rejects(driver.chooseAccel("kvm", config, givenUp.signal), { code: "OPERATION_CANCELED" });
  // Its machine says nothing, and so is found out, at the end of the probe's time.
  const other = assert.rejects(driver.chooseAccel("kvm", config), { code: "ACCEL_UNAVAILABLE" });
  givenUp.abort();
  await Promise.all([begun, other]);
});

test("a control group goes with its VM, whatever the settings say by then", { skip: !isRoot }, async () => {
  let parentCgroup = "firebreak-other";
  const { driver, config } = await open({}, { settings: () => ({ ...UNJAILED, parentCgroup }) });
  const record = await driver.start(config);
  try {
    assert.notDeepEqual(await cgroupsOf(config.vmId), []);
    parentCgroup = "firebreak-test";
  } finally {
    await driver.kill(record);
  }
  assert.deepEqual(await cgroupsOf(config.vmId), []);
});

test("what a VMM has started besides itself ends with it, wherever that is", { skip: !isRoot }, async () => {
  const { driver, config } = await open();
  const record = await driver.start(config);
  const besides = spawn("sleep", ["1000"], { stdio: "ignore" });
  try {
    const groups = await cgroupsOf(config.vmId);
    for (const group of groups) await writeFile(path.join(group, "cgroup.procs"), String(besides.pid));
    const identity = await identifyProcess(besides.pid as number);
    assert.ok(identity);
    await driver.kill(record);
    assert.equal(await isSameProcessAlive(identity), false);
    assert.deepEqual(await cgroupsOf(config.vmId), []);
  } finally {
    besides.kill("SIGKILL");
    await driver.kill(record);
  }
});

test("what runs in a jail is found whatever it calls itself", { skip: !isRoot }, async () => {
  const { driver, config } = await open();
  const record = await driver.start(config);
  const args = ["--target", String(record.pid), "--mount", `--root=/proc/${record.pid}/root`, "sleep", "1000"];
  const renamed = spawn("nsenter", args, { stdio: "ignore" });
  try {
    const pid = renamed.pid as number;
    const jail = await stat(rootOf(config.runtimeDir));
    await waitFor(async () => (await stat(`/proc/${pid}/root`)).ino === jail.ino);
    const identity = await identifyProcess(pid);
    assert.ok(identity);
    await driver.killUnrecorded(config.runtimeDir);
    assert.equal(await isSameProcessAlive(identity), false);
  } finally {
    renamed.kill("SIGKILL");
    await driver.kill(record);
  }
});

// Otherwise it is only given up when its API has not answered for 30 s.
test("a VMM that stands still at its start is given up at once", { timeout: 25_000 }, async () => {
  const { driver, config } = await open({ hangsAt: "GET /" });
  const givenUp = new AbortController();
  const started = assert.rejects(driver.start(config, givenUp.signal), { code: "OPERATION_CANCELED" });
  await waitFor(async () => existsSync(`${rootOf(config.runtimeDir)}/api`));
  givenUp.abort();
  await started;
  assert.equal(existsSync(config.runtimeDir), false);
});

test("a folder that a killed daemon had open for a save is closed by the next, and empty", {
  skip: !isRoot,
}, async () => {
  const { driver, config } = await open();
  const record = await driver.start(config);
  try {
    const saves = savesFolder(config);
    await writeFile(path.join(saves, "memory"), "half of it");
    await chown(saves, TEST_UID, TEST_UID);
    await driver.settle(record, "running");
    assert.deepEqual(await readdir(saves), []);
    assert.equal((await stat(saves)).uid, 0);
  } finally {
    await driver.kill(record);
  }
});
