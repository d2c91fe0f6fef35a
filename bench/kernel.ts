import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { useKernel } from "../src/images/kernel.ts";
import { buildKernel } from "../src/images/kernel-build.ts";
import { listKernels, readCurrentKernelId, setCurrentKernel } from "../src/images/kernel-store.ts";
import type { KernelRef } from "../src/vms/ports.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { bareBootMs } from "./boot.ts";
import { withGuest } from "./guest.ts";
import { median, type Row, ratioRow, round } from "./stats.ts";

const BOOTS = 7;
const MAX_RATIO = 0.5;
const MEMORY_BOOTS = 3;
const MEMORY_MIB = 256;
/** After which a guest with nothing to do has come to rest, ms. */
const REST_MS = 2_000;

/** The kernel of our own configuration against Debian's stock one: time to the agent's first line, memory of an idle VM. */
export async function benchKernel(setting: Setting): Promise<Row[]> {
  const { stock, built } = await openKernels(setting);
  const boots = { stock: [] as number[], built: [] as number[] };
  // By turns, so that a noisy minute hits both.
  for (let index = 0; index < BOOTS; index++) {
    boots.stock.push(await bareBootMs(setting, stock));
    boots.built.push(await bareBootMs(setting, built));
  }
  const memory = { stock: [] as number[], built: [] as number[] };
  for (let index = 0; index < MEMORY_BOOTS; index++) {
    memory.stock.push(await idleMib(setting, stock));
    memory.built.push(await idleMib(setting, built));
  }
  const [mib, stockMib] = [round(median(memory.built)), round(median(memory.stock))];
  return [
    ratioRow({
      what: "built kernel: QEMU's start to the agent's first line, p50",
      samples: boots.built,
      floorSamples: boots.stock,
      floorIs: "the stock kernel, in the same run",
      maxRatio: MAX_RATIO,
    }),
    {
      what: `built kernel: memory that an idle VM of ${MEMORY_MIB} MiB has to itself, p50`,
      unit: "MiB",
      value: mib,
      floor: stockMib,
      floorIs: "the stock kernel, in the same run",
      bar: `less than stock (is ${round(mib / stockMib, 2)} x)`,
      limit: stockMib,
      holds: mib < stockMib,
      samples: memory.built.map((sample) => round(sample)),
      floorSamples: memory.stock.map((sample) => round(sample)),
    },
  ];
}

/** Both kernels, whichever is in use; which one is does not change. */
async function openKernels(setting: Setting): Promise<{ stock: KernelRef; built: KernelRef }> {
  const onProgress = (progress: { message: string }) => process.stderr.write(`${progress.message}\n`);
  const { kernel } = await buildKernel(setting.paths, { onProgress });
  const stock = (await listKernels(setting.paths)).find((candidate) => candidate.kind === "stock");
  const stockId = stock?.id ?? (await fetchStock(setting, onProgress));
  return { stock: await setting.library.getKernel(stockId), built: await setting.library.getKernel(kernel.id) };
}

async function fetchStock(setting: Setting, onProgress: (progress: { message: string }) => void): Promise<string> {
  const current = await readCurrentKernelId(setting.paths);
  const { id } = await useKernel(setting.paths, "stock", { onProgress });
  if (current !== undefined) await setCurrentKernel(setting.paths, current);
  return id;
}

/** What would be freed if this VM ended: its QEMU's private pages, MiB. */
async function idleMib(setting: Setting, kernel: KernelRef): Promise<number> {
  const config = { ...(await setting.makeConfig("memory", kernel)), memoryMib: MEMORY_MIB };
  return withGuest(setting, config, async (_client, { pid }) => {
    await sleep(REST_MS);
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    const kib = [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)].map((match) => Number(match[1]));
    return kib.reduce((sum, part) => sum + part, 0) / 1024;
  });
}
