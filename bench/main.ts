import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openSetting } from "../test/support/vmm-setting.ts";
import { benchBoot } from "./boot.ts";
import { benchChurn } from "./churn.ts";
import { benchDaemon } from "./daemon.ts";
import { benchDashboard } from "./dashboard.ts";
import { benchDenials } from "./denials.ts";
import { benchEgress } from "./egress.ts";
import { benchExec } from "./exec.ts";
import { benchForks } from "./fork.ts";
import { benchGateway } from "./gateway.ts";
import { benchKernel } from "./kernel.ts";
import { benchManyFlows } from "./many-flows.ts";
import { benchMcp } from "./mcp.ts";
import { benchMount } from "./mount.ts";
import { benchOpened } from "./opened.ts";
import { writePerformancePage } from "./page.ts";
import { drawDistributions } from "./picture.ts";
import { PUBLISHED } from "./published.ts";
import type { Row } from "./stats.ts";
import { benchTasks } from "./tasks.ts";
import { benchThroughput } from "./throughput.ts";

const BENCHES = {
  forks: benchForks,
  boot: benchBoot,
  kernel: benchKernel,
  exec: benchExec,
  throughput: benchThroughput,
  egress: benchEgress,
  denials: benchDenials,
  opened: benchOpened,
  flows: benchManyFlows,
  mount: benchMount,
  mcp: benchMcp,
  gateway: benchGateway,
  tasks: benchTasks,
  dashboard: benchDashboard,
  daemon: benchDaemon,
  churn: benchChurn,
};

/** Measures what the project promises, each figure beside its floor from the same run. Exit code 1 when a bar is not met. */
const { values, positionals } = parseArgs({ allowPositionals: true, options: { page: { type: "boolean" } } });
const unknown = positionals.filter((name) => !(name in BENCHES));
if (unknown.length > 0) throw new Error(`there is no bench ${unknown.join(", ")}, only ${Object.keys(BENCHES)}`);
if (values.page && positionals.length > 0) throw new Error("the page shows all benches");
const home = process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test");
const setting = await openSetting(home);
const rows: Row[] = [];
/** Benches that ended with an error, and its first line. */
const failed: { name: string; reason: string }[] = [];
try {
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    try {
      // As they come: what fails later does not take with it what has been measured.
      for await (const row of rowsOf(bench(setting))) {
        process.stdout.write(`${formatRow(row)}\n`);
        rows.push(row);
      }
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      failed.push({ name, reason: text.split("\n")[0] ?? "" });
      process.stderr.write(`FAIL ${name}: ${text}\n`);
    }
  }
} finally {
  setting.close();
}
for (const { system, figure, conditions } of PUBLISHED)
  process.stdout.write(`not measured here: ${system}: ${figure} (${conditions})\n`);
const at = new Date().toISOString();
const host = {
  cpu: os.cpus()[0]?.model ?? "",
  cores: os.cpus().length,
  memoryMib: Math.round(os.totalmem() / 1024 ** 2),
  kernel: os.release().split(".").slice(0, 2).join("."),
  qemu: await setting.driver.version(),
  guestKernel: (await setting.library.resolveKernel({})).kernelId,
};
const caption = `${at.slice(0, 10)}; ${host.cpu}, ${host.cores} cores, Linux ${host.kernel}, QEMU ${host.qemu} under TCG. A dot is a sample, a solid line their p50, a dashed line the bar.`;
const picture = drawDistributions(rows, caption);
const results = path.join("bench", "results");
mkdirSync(results, { recursive: true });
writeFileSync(
  path.join(results, "latest.json"),
  JSON.stringify({ at, host, rows, notMeasuredHere: PUBLISHED }, null, 2),
);
writeFileSync(path.join(results, "latest.svg"), picture);
if (values.page) {
  writePerformancePage("docs/performance.md", host, rows, failed);
  writeFileSync("docs/performance.svg", picture);
}
process.exitCode = failed.length === 0 && rows.every((row) => row.holds) ? 0 : 1;

async function* rowsOf(measured: Promise<Row[]> | AsyncGenerator<Row>): AsyncGenerator<Row> {
  yield* measured instanceof Promise ? await measured : measured;
}

function formatRow(row: Row): string {
  const floor = row.floor === undefined ? "" : `, floor ${row.floor} ${row.unit} (${row.floorIs})`;
  const note = row.note === undefined ? "" : ` (${row.note})`;
  return `${row.holds ? "ok  " : "FAIL"} ${row.what}: ${row.value} ${row.unit}${note}${floor}; bar: ${row.bar}`;
}
