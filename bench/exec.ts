import { runInGuest, withGuest } from "./guest.ts";
import type { Setting } from "./setting.ts";
import { median, type Row, round, sample } from "./stats.ts";

const EXECS = 300;
const WARM_UP = 30;
const SPAWNS = 300;
const MAX_OVERHEAD_MS = 5;

/** Exec of /bin/true through the channel, against a shell in the guest that spawns it in a loop. */
export async function benchExec(setting: Setting): Promise<Row[]> {
  return withGuest(setting, await setting.makeConfig("exec"), async (client) => {
    await sample(WARM_UP, () => runInGuest(client, ["/bin/true"]).then(() => {}));
    const loop = `s=$(date +%s%N); i=0; while [ $i -lt ${SPAWNS} ]; do /bin/true; i=$((i+1)); done; e=$(date +%s%N); echo $((e-s))`;
    const spawned = await runInGuest(client, ["/bin/sh", "-c", loop]);
    const floor = Number(spawned.tail) / SPAWNS / 1e6;
    const samples = await sample(EXECS, () => runInGuest(client, ["/bin/true"]).then(() => {}));
    const value = median(samples);
    return [
      {
        what: "exec of /bin/true, p50",
        unit: "ms",
        value: round(value, 2),
        floor: round(floor, 2),
        floorIs: "a shell in the guest spawning it",
        bar: `at most the floor + ${MAX_OVERHEAD_MS} ms (is + ${round(value - floor, 2)} ms)`,
        holds: value <= floor + MAX_OVERHEAD_MS,
        samples: samples.map((ms) => round(ms, 2)),
      },
    ];
  });
}
