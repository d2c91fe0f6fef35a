import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { appendFile, chmod, copyFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { findProcesses } from "../../src/platform/process.ts";
import type { VmmConfig } from "../../src/vmm/driver.ts";
import type { FirecrackerDriver, FirecrackerDriverOptions } from "../../src/vmm/firecracker/driver.ts";
import { hostArch } from "../../src/vmm/firecracker/release/elf.ts";
import type { FakeSettings } from "../fakes/firecracker/install.ts";
import { makeProgram } from "../fakes/firecracker/release.ts";
import { openPretended, UNJAILED } from "../support/pretended-firecracker.ts";
import { waitFor } from "../support/wait-for.ts";

/** What goes wrong at a start is one clear error, and leaves nothing behind. The machine is a pretended one. */

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-fc-"));
  chmodSync(folder, 0o711);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const open = (fake?: Partial<FakeSettings>, options?: Partial<FirecrackerDriverOptions>) =>
  openPretended(folder, fake, options);

async function assertRefused(
  driver: FirecrackerDriver,
  config: VmmConfig,
  code: string,
  message: RegExp,
): Promise<void> {
  await assert.rejects(driver.start(config), { code, message });
  assert.equal(existsSync(config.runtimeDir), false, "no folder is left");
  assert.deepEqual(await findProcesses((argv) => argv.includes(config.vmId)), [], "no process is left");
}

test("a machine is started, paused, resumed and ended", async () => {
  const { driver, config } = await open();
  const record = await driver.start(config);
  assert.deepEqual([record.driver, record.driverVersion, record.accel], ["firecracker", "1.16.1", "kvm"]);
  await driver.pause(record);
  await driver.pause(record);
  await driver.settle(record, "running");
  await driver.resume(record);
  await driver.kill(record);
  assert.equal(existsSync(config.runtimeDir), false);
});

test("what a guest has its VMM write to its log is bounded while anybody looks after the VM", async () => {
  const { driver, config } = await open();
  const record = await driver.start(config);
  try {
    await appendFile(config.logPath, "vsock: error writing to local stream\n".repeat(100_000));
    const over = new AbortController();
    const watched = driver.waitForExit(record, over.signal);
    await waitFor(async () => (await stat(config.logPath)).size < 1024 * 1024);
    over.abort();
    await watched;
    await driver.pause(record);
  } finally {
    await driver.kill(record);
  }
});

test("without a jailer of the same release nothing starts, unless that was allowed", async () => {
  const settings = () => ({ ...UNJAILED, allowUnjailed: false });
  const none = await open({}, { settings, jailer: "/nonexistent/jailer" });
  await assertRefused(
    none.driver,
    none.config,
    "VMM_START_FAILED",
    /without its jailer: there is no \/nonexistent\/jailer/,
  );
  const other = await open({}, { settings });
  await writeFile(path.join(other.own, "jailer"), "#!/bin/sh\necho 'Jailer v1.15.0'\n");
  await assertRefused(
    other.driver,
    other.config,
    "VMM_START_FAILED",
    /is of release 1\.15\.0, and Firecracker of 1\.16\.1/,
  );
  await assert.rejects(other.driver.check(), { code: "VMM_START_FAILED" });
});

test("an installed release is used, and refused once it is not what was installed", async () => {
  const { own } = await open();
  const release = path.join(own, "home", "firecracker", "1.16.1");
  await mkdir(release, { recursive: true });
  const digests: Record<string, string> = {};
  for (const name of ["firecracker", "jailer"]) {
    await copyFile(path.join(own, name), path.join(release, name));
    digests[name] = createHash("sha256")
      .update(await readFile(path.join(own, name)))
      .digest("hex");
  }
  const manifest = { version: "1.16.1", arch: "x86_64", source: "a test", installedAt: "2026-01-01", digests };
  await writeFile(path.join(release, "release.json"), JSON.stringify(manifest));
  await writeFile(path.join(release, "..", "current"), "1.16.1\n");
  const { driver } = await open({}, { home: path.join(own, "home"), program: undefined });
  await driver.check();
  assert.equal(await driver.version(), "1.16.1");
  await appendFile(path.join(release, "jailer"), "\n");
  await assert.rejects(driver.check(), {
    code: "VMM_ALTERED",
    message: /jailer is not the program that was installed/,
  });
});

test("where it may, a machine runs without a jail", async () => {
  const { driver, config } = await open({}, { jailer: "/nonexistent/jailer" });
  const record = await driver.start(config);
  assert.match(await readFile(`/proc/${record.pid}/status`, "utf8"), /^Uid:\s+0\s/m);
  await driver.kill(record);
  assert.equal(existsSync(config.runtimeDir), false);
});

test("a VMM whose threads are not filtered is ended again", async () => {
  const { driver, config } = await open({ isUnfiltered: true });
  await assertRefused(driver, config, "VMM_START_FAILED", /without a seccomp filter/);
});

test("a release that is too old, a program that is none and one that is not there are told apart", async () => {
  const old = await open({ version: "1.12.1" });
  await assertRefused(old.driver, old.config, "VMM_START_FAILED", /1\.12\.1 is too old; 1\.13 is the oldest/);
  const other = await open();
  await writeFile(other.program, "#!/bin/sh\necho hello\n");
  await chmod(other.program, 0o755);
  await assertRefused(other.driver, other.config, "VMM_START_FAILED", /does not say its version/);
  const foreign = hostArch() === "x86_64" ? "aarch64" : "x86_64";
  await writeFile(other.program, makeProgram("Firecracker v1.16.1", { arch: foreign }));
  await assertRefused(
    other.driver,
    other.config,
    "VMM_START_FAILED",
    new RegExp(`is for ${foreign}, and this host is`),
  );
  await writeFile(other.program, "#!/bin/sh\necho broken >&2; exit 3\n");
  await assertRefused(other.driver, other.config, "VMM_START_FAILED", /does not run: .*broken/);
  const none = await open({}, { program: "/nonexistent/firecracker" });
  await assertRefused(none.driver, none.config, "VMM_NOT_FOUND", /is not installed/);
});

test("a release that loses restored guests boots, but neither saves nor restores", async () => {
  const { driver, config, own } = await open({ version: "1.16.0" });
  const saved = {
    memoryPath: path.join(own, "m"),
    memorySha256: "0",
    statePath: path.join(own, "s"),
    stateSha256: "0",
  };
  const refusal = {
    code: "SNAPSHOT_INCOMPATIBLE",
    message: /1\.16\.0 loses guests that are restored; 1\.16\.1 is the first/,
  };
  await assert.rejects(driver.restore(config, saved), refusal);
  const record = await driver.start(config);
  try {
    const target = { ...saved, scratchDir: own, copies: [], afterwards: "continue" as const };
    await assert.rejects(driver.save(record, config, target), refusal);
    await driver.pause(record); // it runs as it did
  } finally {
    await driver.kill(record);
  }
});

test("a machine on huge pages boots, and is not saved: Firecracker could not restore it", async () => {
  let tuning: typeof UNJAILED.tuning = { hugePages: true };
  const { driver, config, own } = await open({}, { settings: () => ({ ...UNJAILED, tuning }) });
  const { canSave, whyNotSaved } = await driver.abilities();
  assert.deepEqual([canSave, whyNotSaved], [false, "huge_pages in [firecracker]"]);
  const record = await driver.start(config);
  try {
    tuning = {}; // what is set for the next one changes nothing of it
    assert.equal((await driver.abilities()).canSave, true);
    const target = {
      memoryPath: path.join(own, "m"),
      statePath: path.join(own, "s"),
      scratchDir: own,
      copies: [],
      afterwards: "continue" as const,
    };
    await assert.rejects(driver.save(record, config, target), {
      code: "SNAPSHOT_INCOMPATIBLE",
      message: /on huge pages/,
    });
    await driver.pause(record);
  } finally {
    await driver.kill(record);
  }
});

test("a network card within the VMM is refused: Firecracker has none", async () => {
  const { driver, config } = await open();
  await assertRefused(driver, { ...config, card: { kind: "user" } }, "NETWORK_UNSUPPORTED", /no user-mode networking/);
});

test("emulation is refused: Firecracker has none", async () => {
  const { driver, config } = await open();
  await assertRefused(driver, { ...config, accel: "tcg" }, "ACCEL_UNAVAILABLE", /no emulation/);
  await assert.rejects(driver.chooseAccel("tcg", config), { code: "ACCEL_UNAVAILABLE" });
});

test("an error in the middle of the configuration is told in Firecracker's words", async () => {
  const { driver, config } = await open();
  await assertRefused(driver, { ...config, cpus: 64 }, "VMM_START_FAILED", /refused PUT \/machine-config: .*<= 32/);
});

test("a VMM that ends at its start tells why, and one that ends in the middle is noticed", async () => {
  const { driver, config } = await open({}, { jailer: "/nonexistent/jailer" });
  await assertRefused(
    driver,
    { ...config, vmId: "not_allowed" },
    "VMM_START_FAILED",
    /Invalid instance ID: not_allowed/,
  );
  const dying = await open({ diesAt: "PUT /boot-source" });
  await assertRefused(dying.driver, dying.config, "VMM_START_FAILED", /PUT \/boot-source/);
});

test("killed at any step, it leaves nothing behind", async () => {
  const steps = [
    "PUT /serial",
    "PUT /machine-config",
    "PUT /drives/image",
    "PUT /vsock",
    "PUT /entropy",
    "PUT /actions",
  ];
  for (const diesAt of steps) {
    const { driver, config } = await open({ diesAt });
    await assertRefused(driver, config, "VMM_START_FAILED", new RegExp(diesAt));
  }
});

test("a start that is cancelled ends what it had started", async () => {
  const { driver, config } = await open();
  const cancelled = AbortSignal.abort();
  await assert.rejects(driver.start(config, cancelled), { code: "OPERATION_CANCELED" });
  assert.equal(existsSync(config.runtimeDir), false);
  assert.deepEqual(await findProcesses((argv) => argv.includes(config.vmId)), []);
});
