import { chmodSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import { QemuDriver } from "../src/vmm/qemu/driver.ts";
import { runInGuest, withGuest } from "./guest.ts";
import type { Setting } from "./setting.ts";
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
      const raw: number[] = [];
      const ours: number[] = [];
      for (let run = 0; run < RUNS; run++) {
        const drained = drain(rawSocket, TOTAL_MIB * MIB);
        const startedRaw = performance.now();
        await Promise.all([runInGuest(client, [...dd, "of=/dev/vport0p2"]), drained]);
        raw.push(TOTAL_MIB / ((performance.now() - startedRaw) / 1000));
        const startedOurs = performance.now();
        const { bytes } = await runInGuest(client, dd);
        if (bytes !== TOTAL_MIB * MIB)
          throw new Error(`${bytes} bytes of output came, ${TOTAL_MIB * MIB} were written`);
        ours.push(TOTAL_MIB / ((performance.now() - startedOurs) / 1000));
      }
      const value = round(median(ours), 0);
      const floor = round(median(raw), 0);
      return [
        {
          what: "stdout of a command",
          unit: "MiB/s" as const,
          value,
          floor,
          floorIs: "the same command writing to a raw virtio port",
          bar: `at least ${MIN_RATIO} x the floor (is ${round(value / floor, 2)} x)`,
          holds: value >= floor * MIN_RATIO,
          samples: ours.map((rate) => round(rate, 0)),
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
