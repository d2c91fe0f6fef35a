import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { ImageLibrary } from "../../src/daemon/boot-source.ts";
import { GuestClient } from "../../src/guest/client.ts";
import { GuestConnection } from "../../src/guest/connection.ts";
import { createOverlayDrive } from "../../src/images/ext4.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import type { VmmConfig, VmmRecord } from "../../src/vmm/driver.ts";
import { QemuDriver } from "../../src/vmm/qemu/driver.ts";
import type { KernelRef } from "../../src/vms/ports.ts";

/** What tests and benches of a bare VMM share: kernel, image, driver, a folder of its own. */
export interface Setting {
  folder: string;
  home: string;
  driver: QemuDriver;
  library: ImageLibrary;
  paths: FirebreakPaths;
  /** A fresh VM; with the kernel in use unless another is given. */
  makeConfig: (name: string, kernel?: KernelRef) => Promise<VmmConfig>;
  close: () => void;
}

export const MEMORY_MIB = 512;
const SETTING_UID = 960_000_000;

export async function openSetting(home: string): Promise<Setting> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-vmm-"));
  // QEMU runs as a user of its own and has to pass.
  chmodSync(folder, 0o711);
  const paths = resolvePaths({ ...process.env, FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: path.join(folder, "run") });
  createPaths(paths);
  const agentPath = agentBinaryPath();
  const library = new ImageLibrary(paths, agentPath);
  const driver = new QemuDriver({
    cachePath: path.join(folder, "accel.json"),
    agentPath,
    probeRuntimeDir: path.join(paths.runtime, "probe"),
    probeUid: SETTING_UID,
  });
  const onProgress = (progress: { message: string }) => process.stderr.write(`${progress.message}\n`);
  const current = await library.resolveKernel({ onProgress });
  const image = await library.resolveImage("debian", { onProgress });
  let count = 0;
  const makeConfig = async (name: string, kernel = current): Promise<VmmConfig> => {
    const overlay = path.join(folder, `${name}-${count}.ext4`);
    await createOverlayDrive(overlay, 2048);
    count++;
    return {
      vmId: `${name}-${count}`,
      memoryMib: MEMORY_MIB,
      cpus: 1,
      accel: "tcg",
      kernelPath: kernel.kernelPath,
      initrdPath: kernel.initrdPath,
      kernelArgs: kernel.kernelArgs,
      drives: [
        { serial: "image", path: image.rootfsPath, readOnly: true },
        { serial: "overlay", path: overlay, readOnly: false },
      ],
      runtimeDir: path.join(paths.runtime, "v", `${name}-${count}`),
      exchangeDir: path.join(folder, `${name}-${count}.exchange`),
      logPath: path.join(folder, `${name}.log`),
      uid: SETTING_UID + count,
    };
  };
  const close = () => {
    driver.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, home, driver, library, paths, makeConfig, close };
}

/** A VM of no daemon's, with the channel to its agent. */
export interface BareGuest {
  setting: Setting;
  config: VmmConfig;
  record: VmmRecord;
  client: GuestClient;
  close: () => Promise<void>;
}

/** Boots a VM from the kernel and image of the tests' home. */
export async function openBareGuest(name: string): Promise<BareGuest> {
  const setting = await openSetting(
    process.env.FIREBREAK_TEST_HOME ?? path.join(os.homedir(), ".cache", "firebreak-test"),
  );
  const config = await setting.makeConfig(name);
  const record = await setting.driver.start(config);
  const connection = new GuestConnection({
    open: (signal) => setting.driver.openChannel(record, signal),
    attachDeadlineMs: 60_000,
  });
  const close = async () => {
    connection.close();
    await setting.driver.kill(record);
    setting.close();
  };
  const client = new GuestClient(connection);
  try {
    await client.hello({ deadlineMs: 60_000 });
  } catch (error) {
    await close();
    throw error;
  }
  return { setting, config, record, client, close };
}
