import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { openSetting } from "../test/support/vmm-setting.ts";
import { benchBoot } from "./boot.ts";
import { benchDaemon } from "./daemon.ts";
import { benchExec } from "./exec.ts";
import { benchKernel } from "./kernel.ts";
import { writePerformancePage } from "./page.ts";
import type { Row } from "./stats.ts";
import { benchThroughput } from "./throughput.ts";

/** Measures what the project promises, each figure beside its floor from the same run. Exit code 1 when a bar is not met. */
const home = process.env.FIREBREAK_TEST_HOME ?? path.join(os.homedir(), ".cache", "firebreak-test");
const setting = await openSetting(home);
const rows: Row[] = [];
try {
  for (const bench of [benchBoot, benchKernel, benchExec, benchThroughput, benchDaemon]) {
    const measured = await bench(setting);
    for (const row of measured) process.stdout.write(`${formatRow(row)}\n`);
    rows.push(...measured);
  }
} finally {
  setting.close();
}
const results = path.join("bench", "results");
mkdirSync(results, { recursive: true });
const host = {
  cpu: os.cpus()[0]?.model ?? "",
  cores: os.cpus().length,
  memoryMib: Math.round(os.totalmem() / 1024 ** 2),
  kernel: os.release(),
  qemu: await setting.driver.version(),
};
writeFileSync(path.join(results, "latest.json"), JSON.stringify({ at: new Date().toISOString(), host, rows }, null, 2));
if (process.argv.includes("--page")) writePerformancePage("docs/performance.md", host, rows);
process.exitCode = rows.every((row) => row.holds) ? 0 : 1;

function formatRow(row: Row): string {
  const floor = row.floor === undefined ? "" : `, floor ${row.floor} ${row.unit} (${row.floorIs})`;
  return `${row.holds ? "ok  " : "FAIL"} ${row.what}: ${row.value} ${row.unit}${floor}; bar: ${row.bar}`;
}
