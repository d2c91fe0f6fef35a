import type { Sample } from "../api/use-history.ts";

interface ChartProps {
  /** What it shows, for those who cannot see it, with its last value. */
  label: string;
  samples: readonly Sample[];
  /** The upper end of the scale; the largest value when absent. */
  max?: number;
  /** As a value is told at the scale; without it the chart has none. */
  format?: (value: number) => string;
  height?: number;
}

const WIDTH = 300;

/** A line of values over time, as wide as its place. */
export function Chart({ label, samples, max, format, height = 64 }: ChartProps) {
  const top = Math.max(max ?? 0, ...samples.map(({ value }) => value)) || 1;
  const from = samples[0]?.atMs ?? 0;
  const span = Math.max(1, (samples.at(-1)?.atMs ?? 0) - from);
  const points = samples.map(({ atMs, value }) => {
    const x = (WIDTH * (atMs - from)) / span;
    const y = height - 2 - ((height - 4) * value) / top;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <figure className="chart">
      <svg
        viewBox={`0 0 ${WIDTH} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={label}
        style={{ height }}
      >
        <line className="chart-base" x1="0" x2={WIDTH} y1={height - 1} y2={height - 1} />
        {points.length > 1 && (
          <>
            <polygon className="chart-area" points={`0,${height} ${points.join(" ")} ${WIDTH},${height}`} />
            <polyline className="chart-line" points={points.join(" ")} />
          </>
        )}
      </svg>
      {format !== undefined && (
        <figcaption className="chart-scale">
          <span>{format(top)}</span>
          <span>0</span>
        </figcaption>
      )}
    </figure>
  );
}

/** The same, small and without a scale. */
export function Sparkline(props: Omit<ChartProps, "format" | "height">) {
  return <Chart {...props} height={28} />;
}

/** A share of something that is limited. */
export function Meter({ label, share }: { label: string; share: number }) {
  const percent = Math.round(100 * Math.min(1, Math.max(0, share)));
  return (
    // biome-ignore lint/a11y/useSemanticElements: browsers draw <meter> in colours of their own
    <div
      className={percent >= 90 ? "meter meter-full" : "meter"}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <span style={{ width: `${percent}%` }} />
    </div>
  );
}
