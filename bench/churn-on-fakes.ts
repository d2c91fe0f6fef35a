import { setTimeout as sleep } from "node:timers/promises";
import { openVmService } from "../test/support/vm-service.ts";

/**
 * Makes and deletes `COUNT` VMs of the fake driver, in a process of its own so that its memory is that of the service alone. Prints
 * the resident bytes before and after as JSON.
 */
const count = Number(process.argv[2]);
const AT_ONCE = 4;
/** What is allocated once (statements, code) is there after these. */
const WARM_UPS = 200;
const SETTLE_MS = 1_000;

const service = openVmService();
await churn(WARM_UPS);
const beforeBytes = await readRss();
await churn(count);
process.stdout.write(`${JSON.stringify({ beforeBytes, afterBytes: await readRss() })}\n`);
await service.close();

/** Of what is in use, not of what the collector has not looked at yet. */
async function readRss(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    globalThis.gc?.();
    await sleep(SETTLE_MS);
  }
  return process.memoryUsage.rss();
}

async function churn(total: number): Promise<void> {
  let left = total;
  const work = async () => {
    while (left-- > 0) {
      await service.vms.delete((await service.create()).id);
      // What the fake driver notes for tests is no memory of the service.
      service.driver.started.length = 0;
      service.driver.restored.length = 0;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
