/** Figures in Prometheus' text format (0.0.4). Counted as things happen, written out when somebody asks. */

export type Labels = Readonly<Record<string, string>>;

export interface FigureOptions {
  name: string;
  help: string;
  /** Combinations of labels; what comes beyond that is counted as `other`, so that no name from outside takes memory without end. */
  maxSeries?: number;
}

const DEFAULT_MAX_SERIES = 1_000;
const OTHER = "other";

abstract class Figure<T> {
  protected readonly options: FigureOptions;
  readonly #series = new Map<string, { labels: Labels; value: T }>();

  constructor(options: FigureOptions) {
    this.options = options;
  }

  protected abstract readonly kind: "counter" | "histogram";
  protected abstract begin(): T;
  protected abstract lines(labels: Labels, value: T): string[];

  protected of(labels: Labels): { labels: Labels; value: T } {
    const key = JSON.stringify(labels);
    const existing = this.#series.get(key);
    if (existing !== undefined) return existing;
    const { maxSeries = DEFAULT_MAX_SERIES } = this.options;
    const isFull = this.#series.size >= maxSeries && !Object.values(labels).every((value) => value === OTHER);
    if (isFull) return this.of(Object.fromEntries(Object.keys(labels).map((name) => [name, OTHER])));
    const series = { labels, value: this.begin() };
    this.#series.set(key, series);
    return series;
  }

  render(): string {
    const lines = [...this.#series.values()].flatMap(({ labels, value }) => this.lines(labels, value));
    return headOf(this.options, this.kind) + lines.map((line) => `${line}\n`).join("");
  }
}

export class Counter extends Figure<number> {
  protected readonly kind = "counter";

  add(labels: Labels, by = 1): void {
    this.of(labels).value += by;
  }

  protected begin(): number {
    return 0;
  }

  protected lines(labels: Labels, value: number): string[] {
    return [sample(this.options.name, labels, value)];
  }
}

interface Distribution {
  /** How many fell into each bucket, by itself; the last is for all that is larger. */
  counts: number[];
  sum: number;
}

export class Histogram extends Figure<Distribution> {
  protected readonly kind = "histogram";
  readonly #bounds: readonly number[];

  /** `bounds` are the buckets' upper ends, ascending. */
  constructor(options: FigureOptions & { bounds: readonly number[] }) {
    super(options);
    this.#bounds = options.bounds;
  }

  observe(labels: Labels, value: number): void {
    const distribution = this.of(labels).value;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    const index = at < 0 ? this.#bounds.length : at;
    distribution.counts[index] = (distribution.counts[index] ?? 0) + 1;
    distribution.sum += value;
  }

  protected begin(): Distribution {
    return { counts: Array(this.#bounds.length + 1).fill(0), sum: 0 };
  }

  protected lines(labels: Labels, { counts, sum }: Distribution): string[] {
    const { name } = this.options;
    let total = 0;
    const buckets = counts.map((count, index) => {
      total += count;
      return sample(`${name}_bucket`, { ...labels, le: String(this.#bounds[index] ?? "+Inf") }, total);
    });
    return [...buckets, sample(`${name}_sum`, labels, sum), sample(`${name}_count`, labels, total)];
  }
}

/** Figures that are looked up when somebody asks. */
export function renderLooked(
  options: FigureOptions,
  kind: "gauge" | "counter",
  samples: readonly { labels?: Labels; value: number }[],
): string {
  return (
    headOf(options, kind) + samples.map(({ labels = {}, value }) => `${sample(options.name, labels, value)}\n`).join("")
  );
}

function headOf({ name, help }: FigureOptions, kind: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`;
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${quoted(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

function quoted(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
