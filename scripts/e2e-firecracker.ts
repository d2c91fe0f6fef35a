/** The end-to-end suite with Firecracker, where that and KVM are there; elsewhere each of its files is skipped by name, and counted. */

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { agentBinaryPath, PACKAGE_ROOT } from "../src/platform/package-files.ts";
import { FirecrackerDriver } from "../src/vmm/firecracker/driver.ts";
import { openSetting } from "../test/support/vmm-setting.ts";

const FILES = globSync("test/e2e/*.test.ts", { cwd: PACKAGE_ROOT }).sort();
const PROBE_UID = 960_400_000;

/** Why the suite cannot run with Firecracker on this host; undefined where it can. */
async function whyNot(): Promise<string | undefined> {
  const home = process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test");
  const finder = new FirecrackerDriver({
    agentPath: agentBinaryPath(),
    kernelFolder: path.join(home, "vmm", "kernels"),
    probeRuntimeDir: path.join(os.tmpdir(), `firebreak-probe-${process.pid}`),
    probeLogPath: path.join(home, "vmm", "probe", "vmm.log"),
    probeUid: PROBE_UID,
    ...(process.env.FIREBREAK_FIRECRACKER ? { program: process.env.FIREBREAK_FIRECRACKER } : {}),
    ...(process.env.FIREBREAK_JAILER ? { jailer: process.env.FIREBREAK_JAILER } : {}),
  });
  try {
    await finder.check();
    if (!(await finder.abilities()).canSave)
      return `Firecracker ${await finder.version()} cannot restore what it saves`;
    const setting = await openSetting(home);
    try {
      await finder.chooseAccel("kvm", await setting.library.resolveKernel({}));
    } finally {
      setting.close();
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await finder.close();
  }
}

const reason = await whyNot();
if (reason !== undefined) {
  for (const file of FILES) process.stdout.write(`skipped: ${file} with Firecracker: ${reason}\n`);
  process.stdout.write(`\n0 passed, 0 failed, ${FILES.length} skipped\n`);
} else {
  const runner = path.join(PACKAGE_ROOT, "scripts", "run-tests.ts");
  const args = ["--disable-warning=ExperimentalWarning", runner, "--concurrency=1", "--minutes=120", ...FILES];
  const env = { ...process.env, FIREBREAK_DRIVER: "firecracker" };
  process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit", env, cwd: PACKAGE_ROOT }).status ?? 1;
}
