import net from "node:net";
import path from "node:path";
import { findProgram, spawnDetached } from "../src/platform/process.ts";
import { buildQemuArgs } from "../src/vmm/qemu/command-line.ts";
import type { KernelRef } from "../src/vms/ports.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { withGuest } from "./guest.ts";
import { type Row, ratioRow } from "./stats.ts";

const BOOTS = 7;
const MAX_RATIO = 1.3;

/** Cold boot to agent ready, against the same kernel and initrd in bare QEMU up to a static program's first line. */
export async function benchBoot(setting: Setting): Promise<Row[]> {
  const bare: number[] = [];
  const ours: number[] = [];
  // By turns, so that a noisy minute hits both.
  for (let index = 0; index < BOOTS; index++) {
    bare.push(await bareBootMs(setting));
    ours.push(await bootMs(setting));
  }
  return [
    ratioRow({
      what: "cold boot to agent ready, p50",
      samples: ours,
      floorSamples: bare,
      floorIs: "bare QEMU, same kernel and initrd, to a static program's line",
      maxRatio: MAX_RATIO,
    }),
  ];
}

async function bootMs(setting: Setting): Promise<number> {
  const config = await setting.makeConfig("boot");
  const startedMs = performance.now();
  return withGuest(setting, config, async () => performance.now() - startedMs);
}

/** The raw floor of a boot: QEMU itself, the same kernel and initrd, a static program that says one line on the port. */
export async function bareBootMs(setting: Setting, kernel?: KernelRef): Promise<number> {
  const made = await setting.makeConfig("bare", kernel);
  const config = { ...made, kernelArgs: [...made.kernelArgs, "firebreak.probe"] };
  const control = path.join(setting.folder, `bare-${Date.now()}.sock`);
  const qemu = await findProgram("qemu-system-x86_64");
  const tscKhz = await setting.driver.hostTscKhz();
  const args = buildQemuArgs(
    { kind: "boot", config: { ...config, drives: [] }, tscKhz },
    { kernel: 0, initrd: 0, drives: [] },
  );
  const withPaths = args
    .map((word) =>
      word.replace(`${config.runtimeDir}/control,`, `${control},`).replace(/path=\S*\/(\w+),/, `path=${control}.$1,`),
    )
    .map((word, index) =>
      args[index - 1] === "-kernel" ? config.kernelPath : args[index - 1] === "-initrd" ? config.initrdPath : word,
    );
  const startedMs = performance.now();
  const { identity, exited } = await spawnDetached(qemu ?? "qemu-system-x86_64", withPaths, {
    fds: ["ignore", "ignore", 2],
  });
  await Promise.race([
    new Promise<void>((resolve) => connectUntil(control, resolve)),
    exited.then((code) => Promise.reject(new Error(`bare QEMU ended with ${code}`))),
  ]);
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
