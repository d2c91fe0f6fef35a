import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { findProcesses } from "../../src/platform/process.ts";
import type { BootFiles } from "../../src/vmm/driver.ts";
import { QemuDriver } from "../../src/vmm/qemu/driver.ts";
import { openSetting, type Setting } from "../support/vmm-setting.ts";
import { waitFor } from "../support/wait-for.ts";

let setting: Setting;
let boot: BootFiles;
const folder = mkdtempSync(path.join(os.tmpdir(), "fb-accel-"));
chmodSync(folder, 0o711);
before(async () => {
  setting = await openSetting(process.env.FIREBREAK_TEST_HOME ?? path.join(os.homedir(), ".cache", "firebreak-test"));
  boot = await setting.makeConfig("accel");
});
after(() => {
  setting.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A driver whose QEMU does with the words `-accel kvm -cpu host` what the script says; all else is QEMU. */
function driverWith(name: string, kvmWords: string): QemuDriver {
  const program = path.join(folder, name);
  writeFileSync(
    program,
    `#!/bin/bash
args=("$@")
for i in "\${!args[@]}"; do
  if [ "\${args[$i]}" = -accel ] && [ "\${args[$((i+1))]}" = kvm ]; then
    args[$i]=; args[$((i+1))]=; args[$((i+2))]=; args[$((i+3))]=
    set --; for word in "\${args[@]}"; do [ -n "$word" ] && set -- "$@" "$word"; done
    ${kvmWords}
  fi
done
exec qemu-system-x86_64 "$@"
`,
    { mode: 0o755 },
  );
  return new QemuDriver({
    cachePath: path.join(folder, `${name}.json`),
    agentPath: agentBinaryPath(),
    probeRuntimeDir: path.join(folder, `${name}.run`),
    probeUid: 960_999_999,
    program,
  });
}

const canOpenKvm = existsSync("/dev/kvm");
const why = canOpenKvm ? false : "this host has no /dev/kvm to be misled by";

test("a KVM in which guests hang is noticed, TCG is chosen, and the verdict is kept", { skip: why }, async () => {
  // -S: the virtual CPU never runs, as when a kernel hangs at its first instruction.
  const driver = driverWith("hangs", 'exec qemu-system-x86_64 -accel tcg -cpu max -S "$@"');
  const first = await driver.chooseAccel("auto", boot);
  assert.equal(first.accel, "tcg");
  assert.match(first.reason ?? "", /opens, but a guest in it says nothing/);
  const second = await driver.chooseAccel("auto", boot);
  assert.deepEqual([first.isFresh, second.isFresh, second.reason], [true, false, first.reason]);
  await assert.rejects(driver.chooseAccel("kvm", boot), { code: "ACCEL_UNAVAILABLE" });
  assert.deepEqual(await findProcesses((argv) => argv.some((word) => word.includes("hangs.run"))), []);
  assert.equal(existsSync(path.join(folder, "hangs.run")), false);
});

test("a probe that is given up by who began it goes on for others", { skip: why }, async () => {
  const driver = driverWith("given-up", 'exec qemu-system-x86_64 -accel tcg -cpu max -S "$@"');
  const givenUp = new AbortController();
  const begun = assert.rejects(driver.chooseAccel("auto", boot, givenUp.signal), { code: "OPERATION_CANCELED" });
  // The first one is at it by the time that its machine is there.
  await waitFor(async () => existsSync(path.join(folder, "given-up.run")));
  const other = driver.chooseAccel("auto", boot);
  givenUp.abort();
  await begun;
  assert.match((await other).reason ?? "", /opens, but a guest in it says nothing/);
});

test("a QEMU that cannot use KVM says why, in its own words", { skip: why }, async () => {
  const driver = driverWith("refuses", "echo 'qemu: error: no such thing' >&2; exit 1");
  assert.match((await driver.chooseAccel("auto", boot)).reason ?? "", /no such thing/);
});

test("asking for TCG asks no KVM", async () => {
  const driver = driverWith("unused", "exit 1");
  assert.deepEqual(await driver.chooseAccel("tcg", boot), { accel: "tcg", reason: "asked for", isFresh: false });
  assert.equal(existsSync(path.join(folder, "unused.json")), false);
});
