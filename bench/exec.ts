import type { GuestClient } from "../src/guest/client.ts";
import type { Setting } from "../test/support/vmm-setting.ts";
import { runInGuest, withGuest } from "./guest.ts";
import { median, type Row, ratioRow, round, sample } from "./stats.ts";

const ROUNDS = 12;
const PER_ROUND = 30;
const MAX_OVERHEAD_MS = 5;

/** Exec of /bin/true through the channel, against a shell in the guest that spawns it in a loop; by turns, so that noise hits both. */
export async function benchExec(setting: Setting): Promise<Row[]> {
  return withGuest(setting, await setting.makeConfig("exec"), async (client) => {
    const execs = () => sample(PER_ROUND, () => runInGuest(client, ["/bin/true"]).then(() => {}));
    const loop = `s=$(date +%s%N); i=0; while [ $i -lt ${PER_ROUND} ]; do /bin/true; i=$((i+1)); done; e=$(date +%s%N); echo $((e-s))`;
    await execs(); // warms up
    const spawns: number[] = [];
    const samples: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      spawns.push(Number((await runInGuest(client, ["/bin/sh", "-c", loop])).tail) / PER_ROUND / 1e6);
      samples.push(...(await execs()));
    }
    const { fixed, random } = await spawnAnywhere(client, loop);
    const floor = median(spawns);
    const value = median(samples);
    return [
      {
        what: "exec of /bin/true, p50",
        unit: "ms",
        value: round(value, 2),
        floor: round(floor, 2),
        floorIs: "a shell in the guest spawning it",
        bar: `at most ${MAX_OVERHEAD_MS} ms above the floor (is ${round(value - floor, 2)} ms)`,
        holds: value <= floor + MAX_OVERHEAD_MS,
        limit: round(floor + MAX_OVERHEAD_MS, 2),
        samples: samples.map((ms) => round(ms, 2)),
        floorSamples: spawns.map((ms) => round(ms, 2)),
      },
      ratioRow({
        what: "a shell in the guest spawning /bin/true, p50",
        samples: fixed,
        floorSamples: random,
        floorIs: "the same with randomised addresses",
        maxRatio: 1,
      }),
    ];
  });
}

/** What a program's start takes in the guest as it is, and with its addresses randomised, ms; by turns. */
async function spawnAnywhere(client: GuestClient, loop: string): Promise<{ fixed: number[]; random: number[] }> {
  const times = { fixed: [] as number[], random: [] as number[] };
  for (let round = 0; round < ROUNDS; round++)
    for (const [key, level] of [
      ["fixed", 0],
      ["random", 2],
    ] as const) {
      const script = `echo ${level} >/proc/sys/kernel/randomize_va_space; ${loop}`;
      times[key].push(Number((await runInGuest(client, ["/bin/sh", "-c", script])).tail) / PER_ROUND / 1e6);
    }
  return times;
}
