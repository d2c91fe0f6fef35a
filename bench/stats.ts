/** One measured row: what it is, its samples, and the floor that was measured in the same run. */
export interface Row {
  what: string;
  unit: "ms" | "MiB/s" | "MiB";
  value: number;
  /** What the value is made of, for whoever reads the table. */
  note?: string;
  /** The same without firebreak, or what cannot be undercut; absent for absolute bars. */
  floor?: number;
  floorIs?: string;
  /** Is the bar met? */
  holds: boolean;
  bar: string;
  /** The bar in the row's unit, at most or at least; absent where there is none. */
  limit?: number;
  samples?: number[];
  floorSamples?: number[];
}

export function percentile(samples: number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * fraction));
  return sorted[at] ?? Number.NaN;
}

export const median = (samples: number[]): number => percentile(samples, 0.5);

export const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

/** A row of the median of times that is held against the median of a floor. */
export function ratioRow(given: {
  what: string;
  samples: number[];
  floorSamples: number[];
  floorIs: string;
  maxRatio: number;
}): Row {
  const { what, floorIs, maxRatio } = given;
  const [value, floor] = [median(given.samples), median(given.floorSamples)];
  return {
    what,
    unit: "ms",
    value: round(value),
    floor: round(floor),
    floorIs,
    bar: `at most ${maxRatio} x the floor (is ${round(value / floor, 2)} x)`,
    limit: round(floor * maxRatio),
    holds: value <= floor * maxRatio,
    samples: given.samples.map((ms) => round(ms)),
    floorSamples: given.floorSamples.map((ms) => round(ms)),
  };
}

/** A row of the median of times that may be a few milliseconds above the median of a floor. */
export function overheadRow(given: {
  what: string;
  samples: number[];
  floorSamples: number[];
  floorIs: string;
  maxMs: number;
}): Row {
  const { what, floorIs, maxMs } = given;
  const [value, floor] = [median(given.samples), median(given.floorSamples)];
  return {
    what,
    unit: "ms",
    value: round(value, 2),
    floor: round(floor, 2),
    floorIs,
    bar: `at most ${maxMs} ms above the floor (is ${round(value - floor, 2)} ms)`,
    limit: round(floor + maxMs, 2),
    holds: value <= floor + maxMs,
    samples: given.samples.map((ms) => round(ms, 2)),
    floorSamples: given.floorSamples.map((ms) => round(ms, 2)),
  };
}

/** A row that is held against a figure. */
export function limitRow(
  given: Pick<Row, "what" | "unit" | "value" | "note" | "samples"> & { limit: number; digits?: number },
): Row {
  const { limit, unit, digits = 0, samples, ...rest } = given;
  return {
    ...rest,
    unit,
    value: round(given.value, digits),
    bar: `at most ${limit} ${unit}`,
    limit,
    holds: given.value <= limit,
    ...(samples === undefined ? {} : { samples: samples.map((each) => round(each, digits)) }),
  };
}

/** Times each of `count` runs, ms. */
export async function sample(count: number, work: (index: number) => Promise<void>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index++) {
    const startedMs = performance.now();
    await work(index);
    samples.push(performance.now() - startedMs);
  }
  return samples;
}
