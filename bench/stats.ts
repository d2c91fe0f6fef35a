/** One measured row: what it is, its samples, and the floor that was measured in the same run. */
export interface Row {
  what: string;
  unit: "ms" | "MiB/s" | "MiB";
  value: number;
  /** The same without firebreak, or what cannot be undercut; absent for absolute bars. */
  floor?: number;
  floorIs?: string;
  /** Is the bar met? */
  holds: boolean;
  bar: string;
  samples?: number[];
}

export function percentile(samples: number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * fraction));
  return sorted[at] ?? Number.NaN;
}

export const median = (samples: number[]): number => percentile(samples, 0.5);

export const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

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
