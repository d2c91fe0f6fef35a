import { chmodSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { QemuDriver } from "../src/vmm/qemu/driver.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { runInGuest, withGuest } from "./guest.ts";
import { median, type Row, round } from "./stats.ts";

const MIB = 1024 * 1024;
const TOTAL_MIB = 256;
const RUNS = 5;
const MIN_RATIO = 0.5;

/** A command's stdout through the channel, against a raw virtio port that the same command writes to, in the same VM. */
export async function benchThroughput(setting: Setting): Promise<Row[]> {
  const config = await setting.makeConfig("raw");
  const rawSocket = path.join(config.runtimeDir, "raw");
  // QEMU with one more port: a wrapper adds it, so that everything else is what firebreak starts.
  const wrapper = path.join(setting.folder, "qemu-with-raw-port");
  const extra = `-chardev socket,id=raw,path=${rawSocket},server=on,wait=off -device virtserialport,chardev=raw,name=bench.raw,nr=2`;
  writeFileSync(
    wrapper,
    `#!/bin/sh\ncase "$*" in *--version*) exec qemu-system-x86_64 "$@" ;; esac\nexec qemu-system-x86_64 "$@" ${extra}\n`,
  );
  chmodSync(wrapper, 0o755);
  const driver = new QemuDriver({
    cachePath: path.join(setting.folder, "accel.json"),
    agentPath: agentBinaryPath(),
    probeRuntimeDir: path.join(setting.folder, "p"),
    probeUid: 1,
    program: wrapper,
  });
  try {
    return await withGuest({ ...setting, driver }, config, async (client) => {
      const dd = ["dd", "if=/dev/zero", "bs=64k", `count=${TOTAL_MIB * 16}`, "status=none"];
      const rates: Record<"raw" | "pipe" | "ours", number[]> = { raw: [], pipe: [], ours: [] };
      const timed = async (kind: keyof typeof rates, work: () => Promise<unknown>) => {
        const startedMs = performance.now();
        await work();
        rates[kind].push(TOTAL_MIB / ((performance.now() - startedMs) / 1000));
      };
      const toPort = (argv: string[]) => Promise.all([runInGuest(client, argv), drain(rawSocket, TOTAL_MIB * MIB)]);
      for (let run = 0; run < RUNS; run++) {
        await timed("raw", () => toPort([...dd, "of=/dev/vport0p2"]));
        await timed("pipe", () => toPort(["sh", "-c", `${dd.join(" ")} | cat > /dev/vport0p2`]));
        await timed("ours", async () => {
          const { bytes } = await runInGuest(client, dd);
          if (bytes !== TOTAL_MIB * MIB) throw new Error(`${bytes} of ${TOTAL_MIB * MIB} bytes of output came`);
        });
      }
      const value = round(median(rates.ours), 0);
      const floor = round(median(rates.raw), 0);
      const piped = round(median(rates.pipe), 0);
      return [
        {
          what: "stdout of a command",
          unit: "MiB/s" as const,
          value,
          floor,
          floorIs: "the same command writing to a raw virtio port",
          bar: `at least ${MIN_RATIO} x the floor (is ${round(value / floor, 2)} x)`,
          holds: value >= floor * MIN_RATIO,
          limit: round(floor * MIN_RATIO, 0),
          samples: rates.ours.map((rate) => round(rate, 0)),
          floorSamples: rates.raw.map((rate) => round(rate, 0)),
        },
        {
          what: "stdout of a command, beside a pipe",
          unit: "MiB/s" as const,
          value,
          floor: piped,
          floorIs: "the same command piped through cat to the raw port: no protocol, but a pipe as every command has",
          bar: `none: it shows where the way to the raw port is lost (is ${round(value / piped, 2)} x)`,
          holds: true,
        },
      ];
    });
  } finally {
    driver.close();
  }
}

function drain(socketPath: string, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    let seen = 0;
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      seen += chunk.length;
      if (seen < bytes) return;
      socket.destroy();
      resolve();
    });
  });
}
