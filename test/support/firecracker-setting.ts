import { mkdirSync } from "node:fs";
import path from "node:path";
import { agentBinaryPath, PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { findProgram } from "../../src/platform/process.ts";
import type { VmmConfig } from "../../src/vmm/driver.ts";
import { FirecrackerDriver, type FirecrackerDriverOptions } from "../../src/vmm/firecracker/driver.ts";
import { type FakeSettings, installFakeFirecracker } from "../fakes/firecracker/install.ts";
import { openSetting, type Setting } from "./vmm-setting.ts";

/** Gives guests of the fake a vsock; scripts/setup-vsock-device.sh builds it. */
const VSOCK_DEVICE = path.join(PACKAGE_ROOT, "guest-agent/target/tools/bin/vhost-device-vsock");

export async function findVsockDevice(): Promise<string | undefined> {
  return findProgram(process.env.FIREBREAK_VSOCK_DEVICE ?? VSOCK_DEVICE);
}

export interface FirecrackerSetting {
  setting: Setting;
  driver: FirecrackerDriver;
  makeConfig: () => Promise<VmmConfig>;
  close: () => Promise<void>;
}

/** The driver for Firecracker, with a fake of it that runs real guests. */
export async function openFirecrackerSetting(
  home: string,
  changes: { fake?: Partial<FakeSettings>; driver?: Partial<FirecrackerDriverOptions> } = {},
): Promise<FirecrackerSetting> {
  const setting = await openSetting(home);
  const folder = path.join(setting.folder, "fc");
  mkdirSync(folder);
  const tscKhz = (await setting.driver.hostTscKhz()) ?? 0;
  const program = await installFakeFirecracker(folder, { version: "1.16.1", tscKhz, ...changes.fake });
  const driver = new FirecrackerDriver({
    agentPath: agentBinaryPath(),
    kernelFolder: path.join(folder, "kernels"),
    probeRuntimeDir: path.join(folder, "probe"),
    probeLogPath: path.join(folder, "probe.log"),
    program,
    probeUid: 960_100_001,
    settings: () => ({ tuning: {}, allowUnjailed: true, parentCgroup: "firebreak-test" }),
    ...changes.driver,
  });
  const makeConfig = async () => ({ ...(await setting.makeConfig("fc")), accel: "kvm" as const });
  const close = async () => {
    await driver.close();
    setting.close();
  };
  return { setting, driver, makeConfig, close };
}
