import { setTimeout as sleep } from "node:timers/promises";
import { startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { limitRow, type Row } from "./stats.ts";

const MAX_RSS_MIB = 90;
const IDLE_MS = 3_000;

/** Memory of a daemon that has served a VM and does nothing now. */
export async function benchDaemon(): Promise<Row[]> {
  const { client, close } = await startDaemonFixture();
  try {
    const vm = await client.vms.create({ accel: "tcg" });
    for await (const _ of (await client.execs.start(vm.name, { argv: ["true"] })).output());
    await client.vms.delete(vm.name);
    await sleep(IDLE_MS);
    const { rssBytes } = await client.status();
    return [
      limitRow({
        what: "idle daemon after one VM, resident",
        unit: "MiB",
        value: rssBytes / 1024 / 1024,
        limit: MAX_RSS_MIB,
      }),
    ];
  } finally {
    await close();
  }
}
