import { chmodSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { GuestClient } from "../src/guest/client.ts";
import { agentBinaryPath } from "../src/platform/package-files.ts";
import type { VmmRecord } from "../src/vmm/driver.ts";
import { QemuDriver } from "../src/vmm/qemu/driver.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { runInGuest, withGuest } from "./guest.ts";

/** What a raw port is in the guest. */
export const RAW_DEVICE = "/dev/vport0p3";

export interface RawGuest {
  client: GuestClient;
  driver: QemuDriver;
  record: VmmRecord;
  /** Runs a command that writes so many bytes to the raw port, until they have come. */
  toPort: (argv: string[], bytes: number) => Promise<unknown>;
  /** Runs a command that reads so many bytes from the raw port. */
  fromPort: (argv: string[], bytes: number) => Promise<unknown>;
}

/** A VM with one virtio port more, which nothing but a measurement uses: what it takes is the floor of whatever goes over a port. */
export async function withRawPort<T>(
  setting: Setting,
  name: string,
  work: (guest: RawGuest) => Promise<T>,
): Promise<T> {
  const config = await setting.makeConfig(name);
  const rawSocket = path.join(config.runtimeDir, "raw");
  // QEMU with one more port: a wrapper adds it, so that everything else is what firebreak starts.
  const wrapper = path.join(setting.folder, `qemu-${name}`);
  const extra = `-chardev socket,id=raw,path=${rawSocket},server=on,wait=off -device virtserialport,chardev=raw,name=bench.raw,nr=3`;
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
    return await withGuest({ ...setting, driver }, config, (client, record) => {
      const toPort = (argv: string[], bytes: number) =>
        Promise.all([runInGuest(client, argv), drain(rawSocket, bytes)]);
      const fromPort = (argv: string[], bytes: number) =>
        Promise.all([runInGuest(client, argv), pour(rawSocket, bytes)]);
      return work({ client, driver, record, toPort, fromPort });
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

async function pour(socketPath: string, bytes: number): Promise<void> {
  const socket = net.connect(socketPath);
  const block = Buffer.alloc(256 * 1024);
  function* blocks() {
    for (let left = bytes; left > 0; left -= block.length) yield block.subarray(0, left);
  }
  await pipeline(Readable.from(blocks()), socket);
}
