import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DaemonClient } from "../src/client/daemon-client.ts";
import { ensureDaemon } from "../src/client/ensure-daemon.ts";
import { resolvePaths } from "../src/platform/paths.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { type Row, round } from "./stats.ts";

const MAX_RSS_MIB = 90;
const IDLE_MS = 3_000;

/** Memory of a daemon that has served a VM and does nothing now. */
export async function benchDaemon(setting: Setting): Promise<Row[]> {
  const home = mkdtempSync(path.join(os.tmpdir(), "fb-idle-"));
  for (const name of ["images", "kernels"]) symlinkSync(path.join(setting.home, name), path.join(home, name));
  process.env.FIREBREAK_HOME = home;
  const paths = resolvePaths();
  await ensureDaemon(paths);
  const client = new DaemonClient(paths.socket);
  const vm = await client.vmCreate({ accel: "tcg" });
  for await (const _ of (await client.exec(vm.name, { argv: ["true"] })).output());
  await client.vmDelete(vm.name);
  await sleep(IDLE_MS);
  const value = round((await client.status()).rssBytes / 1024 / 1024, 0);
  await client.shutdown();
  await sleep(500);
  rmSync(home, { recursive: true, force: true });
  return [
    {
      what: "idle daemon after one VM, resident",
      unit: "MiB",
      value,
      bar: `at most ${MAX_RSS_MIB} MiB`,
      holds: value <= MAX_RSS_MIB,
    },
  ];
}
