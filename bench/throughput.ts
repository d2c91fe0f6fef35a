import type { Setting } from "../test/support/vmm-setting.ts";
import { runInGuest } from "./guest.ts";
import { RAW_DEVICE, withRawPort } from "./raw-port.ts";
import { median, type Row, round } from "./stats.ts";

const MIB = 1024 * 1024;
const TOTAL_MIB = 256;
const RUNS = 5;
const MIN_RATIO = 0.5;

/** A command's stdout through the channel, against a raw virtio port that the same command writes to, in the same VM. */
export async function benchThroughput(setting: Setting): Promise<Row[]> {
  return withRawPort(setting, "raw", async ({ client, toPort }) => {
    const dd = ["dd", "if=/dev/zero", "bs=64k", `count=${TOTAL_MIB * 16}`, "status=none"];
    const rates: Record<"raw" | "pipe" | "ours", number[]> = { raw: [], pipe: [], ours: [] };
    const timed = async (kind: keyof typeof rates, work: () => Promise<unknown>) => {
      const startedMs = performance.now();
      await work();
      rates[kind].push(TOTAL_MIB / ((performance.now() - startedMs) / 1000));
    };
    for (let run = 0; run < RUNS; run++) {
      await timed("raw", () => toPort([...dd, `of=${RAW_DEVICE}`], TOTAL_MIB * MIB));
      await timed("pipe", () => toPort(["sh", "-c", `${dd.join(" ")} | cat > ${RAW_DEVICE}`], TOTAL_MIB * MIB));
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
}
