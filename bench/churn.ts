import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MALLOC } from "../src/client/ensure-daemon.ts";
import { PACKAGE_ROOT } from "../src/platform/package-files.ts";
import { runCommand } from "../src/platform/process.ts";
import { startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { type Row, round } from "./stats.ts";

const FAKE_VMS = 10_000;
const REAL_VMS = 300;
const REAL_AT_ONCE = 2;
const WARM_UPS = 30;
const SETTLE_MS = 3_000;
const MAX_GROWTH = 0.2;
const MIB = 1024 ** 2;

/** Memory after many VMs have come and gone, against that before. */
export async function* benchChurn(): AsyncGenerator<Row> {
  const script = path.join(PACKAGE_ROOT, "bench", "churn-on-fakes.ts");
  const { stdout } = await runCommand(
    process.execPath,
    [...process.execArgv, "--expose-gc", "--max-semi-space-size=1", script, String(FAKE_VMS)],
    { env: { ...process.env, ...MALLOC } },
  );
  const { beforeBytes, afterBytes } = JSON.parse(stdout) as { beforeBytes: number; afterBytes: number };
  yield growthRow(
    `VM service after ${FAKE_VMS} VMs of the fake driver have come and gone, resident`,
    beforeBytes,
    afterBytes,
  );
  const { client, close } = await startDaemonFixture();
  try {
    const churn = async (total: number) => {
      let left = total;
      const work = async () => {
        while (left-- > 0) await client.vms.delete((await client.vms.create({ memoryMib: 256, accel: "tcg" })).id);
      };
      await Promise.all(Array.from({ length: REAL_AT_ONCE }, work));
      await sleep(SETTLE_MS);
      return (await client.status()).rssBytes;
    };
    const before = await churn(WARM_UPS);
    yield growthRow(`daemon after ${REAL_VMS} VMs have come and gone, resident`, before, await churn(REAL_VMS));
  } finally {
    await close();
  }
}

function growthRow(what: string, beforeBytes: number, afterBytes: number): Row {
  const growth = afterBytes / beforeBytes - 1;
  return {
    what,
    unit: "MiB",
    value: round(afterBytes / MIB),
    floor: round(beforeBytes / MIB),
    floorIs: "the same process before",
    bar: `within ${MAX_GROWTH * 100} % of the floor (is ${round(growth * 100)} %)`,
    limit: round((beforeBytes / MIB) * (1 + MAX_GROWTH)),
    holds: Math.abs(growth) <= MAX_GROWTH,
  };
}
