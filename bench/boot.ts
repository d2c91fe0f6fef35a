import { withGuest } from "./guest.ts";
import { bareBootMs, type Setting } from "./setting.ts";
import { median, type Row, round } from "./stats.ts";

const BOOTS = 7;
const MAX_RATIO = 1.3;

/** Cold boot to agent ready, against the same kernel and initrd in bare QEMU up to a static program's first line. */
export async function benchBoot(setting: Setting): Promise<Row[]> {
  const bare: number[] = [];
  const ours: number[] = [];
  // By turns, so that a noisy minute hits both.
  for (let index = 0; index < BOOTS; index++) {
    bare.push(await bareBootMs(setting));
    ours.push(await bootMs(setting));
  }
  const value = round(median(ours), 0);
  const floor = round(median(bare), 0);
  return [
    {
      what: "cold boot to agent ready, p50",
      unit: "ms",
      value,
      floor,
      floorIs: "bare QEMU, same kernel and initrd, to a static program's line",
      bar: `at most ${MAX_RATIO} x the floor (is ${round(value / floor, 2)} x)`,
      holds: value <= floor * MAX_RATIO,
      samples: ours.map((ms) => round(ms, 0)),
    },
  ];
}

async function bootMs(setting: Setting): Promise<number> {
  const config = await setting.makeConfig("boot");
  const startedMs = performance.now();
  return withGuest(setting, config, async () => performance.now() - startedMs);
}
