import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { VmmConfig } from "../../src/vmm/driver.ts";
import {
  FirecrackerDriver,
  type FirecrackerDriverOptions,
  type FirecrackerSettings,
} from "../../src/vmm/firecracker/driver.ts";
import { type FakeSettings, installFakeFirecracker } from "../fakes/firecracker/install.ts";

/** Without a jail, where there is none. */
export const UNJAILED: FirecrackerSettings = { tuning: {}, allowUnjailed: true, parentCgroup: "firebreak-test" };

/** No user of this host's; jails are not root's. */
export const TEST_UID = 960_100_000;

/** A driver with a fake of Firecracker in a folder of its own below one that all may enter, behind which there is no machine; and what to start there. */
export async function openPretended(
  folder: string,
  fake: Partial<FakeSettings> = {},
  options: Partial<FirecrackerDriverOptions> = {},
) {
  const own = mkdtempSync(path.join(folder, "t"));
  chmodSync(own, 0o711);
  const program = await installFakeFirecracker(own, { version: "1.16.1", ...fake });
  const driver = new FirecrackerDriver({
    agentPath: "/nonexistent",
    kernelFolder: path.join(own, "kernels"),
    probeRuntimeDir: path.join(own, "probe"),
    probeLogPath: path.join(own, "probe.log"),
    program,
    probeUid: TEST_UID,
    settings: () => UNJAILED,
    ...options,
  });
  const kernelPath = path.join(own, "kernel");
  await writeFile(kernelPath, Buffer.concat([Buffer.from("\x7fELF", "latin1"), Buffer.alloc(100)]));
  for (const name of ["initrd", "image"]) await writeFile(path.join(own, name), "");
  const config: VmmConfig = {
    // Nobody else's on this host: what is left of it is looked for by it.
    vmId: `vm-${randomBytes(6).toString("hex")}`,
    memoryMib: 128,
    cpus: 1,
    accel: "kvm",
    kernelPath,
    initrdPath: path.join(own, "initrd"),
    kernelArgs: [],
    drives: [{ serial: "image", path: path.join(own, "image"), readOnly: true }],
    runtimeDir: path.join(own, "run"),
    logPath: path.join(own, "log"),
    uid: TEST_UID,
  };
  return { driver, config, own, program };
}
