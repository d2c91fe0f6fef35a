import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { ImageLibrary } from "../src/daemon/boot-source.ts";
import { createOverlayDrive } from "../src/images/ext4.ts";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { createPaths, resolvePaths } from "../src/platform/paths.ts";
import { findProgram, spawnDetached } from "../src/platform/process.ts";
import type { VmmConfig } from "../src/vmm/driver.ts";
import { buildQemuArgs } from "../src/vmm/qemu/command-line.ts";
import { QemuDriver } from "../src/vmm/qemu/driver.ts";

/** Everything that one bench run shares: kernel, image, driver, a folder of its own. */
export interface Setting {
  folder: string;
  home: string;
  driver: QemuDriver;
  library: ImageLibrary;
  makeConfig: (name: string) => Promise<VmmConfig>;
  close: () => void;
}

export const MEMORY_MIB = 512;
const BENCH_UID = 960_000_000;

export async function openSetting(home: string): Promise<Setting> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-bench-"));
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
    probeUid: BENCH_UID,
  });
  const onProgress = (progress: { message: string }) => process.stderr.write(`${progress.message}\n`);
  const kernel = await library.resolveKernel({ onProgress });
  const image = await library.resolveImage("debian", { onProgress });
  let count = 0;
  const makeConfig = async (name: string): Promise<VmmConfig> => {
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
      kernelArgs: [],
      drives: [
        { serial: "image", path: image.rootfsPath, readOnly: true },
        { serial: "overlay", path: overlay, readOnly: false },
      ],
      runtimeDir: path.join(paths.runtime, "v", `${name}-${count}`),
      logPath: path.join(folder, `${name}.log`),
      uid: BENCH_UID + count,
    };
  };
  const close = () => {
    driver.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, home, driver, library, makeConfig, close };
}

/** The raw floor of a boot: QEMU itself, the same kernel and initrd, a static program that says one line on the port. */
export async function bareBootMs(setting: Setting): Promise<number> {
  const config = { ...(await setting.makeConfig("bare")), kernelArgs: ["firebreak.probe"] };
  const control = path.join(setting.folder, `bare-${Date.now()}.sock`);
  const qemu = await findProgram("qemu-system-x86_64");
  const tscKhz = await setting.driver.hostTscKhz();
  const args = buildQemuArgs(
    { kind: "boot", config: { ...config, drives: [] }, tscKhz },
    { kernel: 0, initrd: 0, drives: [] },
  );
  const withPaths = args
    .map((word) =>
      word
        .replace(`${config.runtimeDir}/control,`, `${control},`)
        .replace(/path=\S*\/(qmp|console),/, `path=${control}.$1,`),
    )
    .map((word, index) =>
      args[index - 1] === "-kernel" ? config.kernelPath : args[index - 1] === "-initrd" ? config.initrdPath : word,
    );
  const startedMs = performance.now();
  const { identity } = await spawnDetached(qemu ?? "qemu-system-x86_64", withPaths, { fds: ["ignore", "ignore", 2] });
  await new Promise<void>((resolve) => connectUntil(control, resolve));
  const ms = performance.now() - startedMs;
  process.kill(identity.pid, "SIGKILL");
  return ms;
}

function connectUntil(socketPath: string, onLine: () => void): void {
  const socket = net.connect(socketPath);
  let text = "";
  socket.on("error", () => setTimeout(() => connectUntil(socketPath, onLine), 3));
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
    if (!text.includes("firebreak-agent")) return;
    socket.destroy();
    onLine();
  });
}
