import { median, percentile, type Row, round } from "./stats.ts";

const WIDTH = 960;
const MARGIN = 24;
/** Where the lanes begin, right of their names. */
const PLOT_LEFT = 160;
/** And where they end, left of the number of samples that do not fit. */
const PLOT_RIGHT = WIDTH - 92;
const HEAD_HEIGHT = 60;
const TITLE_HEIGHT = 26;
const LANE_HEIGHT = 30;
const AXIS_HEIGHT = 42;
const DOT_RADIUS = 3.5;
/** How far a dot may lie above or below the middle of its lane. */
const SPREAD = 8;

/** Its own background, so that it can be read wherever it is shown; colours follow the reader's scheme. */
const STYLE = `
  svg { --back: #ffffff; --text: #1f2328; --faint: #59636e; --grid: #d1d9e0; --ours: #0969da; --floor: #818b98; --bar: #cf222e; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --text: #e6edf3; --faint: #9198a1; --grid: #30363d; --ours: #4493f8; --floor: #7d8590; --bar: #ff7b72; }
  }
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: var(--text); }
  .head { font-size: 18px; font-weight: 600; }
  .what { font-size: 13px; font-weight: 600; }
  .faint { fill: var(--faint); }
  .back { fill: var(--back); }
  .grid { stroke: var(--grid); stroke-width: 1; }
  .bar { stroke: var(--bar); stroke-width: 1.5; stroke-dasharray: 5 3; }
  .unmet { fill: var(--bar); }
  .ours { fill: var(--ours); }
  .floor { fill: var(--floor); }
  .dot { fill-opacity: 0.6; }
  .median { stroke-width: 2.5; }
  .median.ours { stroke: var(--ours); }
  .median.floor { stroke: var(--floor); }
`;

interface Lane {
  name: "firebreak" | "floor";
  kind: "ours" | "floor";
  samples: number[];
}

/** Every row with samples as a strip of dots, its floor below it, on an axis of its own that begins at 0. */
export function drawDistributions(rows: Row[], caption: string): string {
  const parts: string[] = [];
  let y = HEAD_HEIGHT;
  for (const row of rows) {
    if (row.samples === undefined) continue;
    const panel = drawPanel(row, row.samples, y);
    parts.push(panel.svg);
    y += panel.height;
  }
  const height = y + MARGIN / 2;
  const title = "What firebreak takes, beside its floor";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${title}</title>
<style>${STYLE}</style>
<rect class="back" width="${WIDTH}" height="${height}" rx="8"/>
<text class="head" x="${MARGIN}" y="30">${title}</text>
<text class="faint" x="${MARGIN}" y="48">${escapeXml(caption)}</text>
${parts.join("\n")}
</svg>
`;
}

function drawPanel(row: Row, samples: number[], top: number): { svg: string; height: number } {
  const lanes: Lane[] = [{ name: "firebreak", kind: "ours", samples }];
  if (row.floorSamples !== undefined) lanes.push({ name: "floor", kind: "floor", samples: row.floorSamples });
  const step = tickStep(reachOf(row, lanes));
  const end = Math.ceil(reachOf(row, lanes) / step) * step;
  const scale = (value: number) => PLOT_LEFT + (value / end) * (PLOT_RIGHT - PLOT_LEFT);
  const lanesTop = top + TITLE_HEIGHT;
  const lanesBottom = lanesTop + lanes.length * LANE_HEIGHT;
  const svg = [
    `<text class="what" x="${MARGIN}" y="${top + 14}">${escapeXml(row.what.replaceAll("`", ""))}</text>`,
    `<text class="${row.holds ? "faint" : "unmet"}" x="${WIDTH - MARGIN}" y="${top + 14}" text-anchor="end">${escapeXml(row.bar)}${row.holds ? "" : ": not met"}</text>`,
    drawAxis({ step, end, unit: row.unit, scale, top: lanesTop, bottom: lanesBottom }),
    ...lanes.map((lane, index) => drawLane(lane, row.unit, lanesTop + (index + 0.5) * LANE_HEIGHT, end, scale)),
    row.limit === undefined ? "" : drawBar(scale(row.limit), lanesTop, lanesBottom),
  ].join("\n");
  return { svg, height: TITLE_HEIGHT + lanes.length * LANE_HEIGHT + AXIS_HEIGHT };
}

/** How far the axis has to go: the bar, and all but the odd sample. */
function reachOf(row: Row, lanes: Lane[]): number {
  return Math.max((row.limit ?? 0) * 1.04, ...lanes.map(({ samples }) => percentile(samples, 0.97) * 1.04));
}

/** A step of 1, 2 or 5 that makes four to nine ticks. */
function tickStep(reach: number): number {
  const rough = reach / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
}

function drawAxis(axis: {
  step: number;
  end: number;
  unit: string;
  scale: (value: number) => number;
  top: number;
  bottom: number;
}): string {
  const { step, end, unit, scale, top, bottom } = axis;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => round(index * step, 3));
  return ticks
    .map((tick) => {
      const x = round(scale(tick));
      const label = tick === ticks.at(-1) ? `${tick} ${unit}` : tick;
      return (
        `<line class="grid" x1="${x}" y1="${top}" x2="${x}" y2="${bottom}"/>` +
        `<text class="faint" x="${x}" y="${bottom + 15}" text-anchor="middle">${label}</text>`
      );
    })
    .join("");
}

function drawLane(lane: Lane, unit: string, middle: number, end: number, scale: (value: number) => number): string {
  const shown = lane.samples.filter((sample) => sample <= end);
  const beyond = lane.samples.length - shown.length;
  const p50 = median(lane.samples);
  const dots = shown.map((sample, index) => {
    const y = round(middle + (spread(index) - 0.5) * 2 * SPREAD);
    return `<circle class="dot ${lane.kind}" cx="${round(scale(sample))}" cy="${y}" r="${DOT_RADIUS}"/>`;
  });
  const x = round(scale(Math.min(p50, end)));
  return [
    `<text x="${MARGIN}" y="${middle + 4}">${lane.name} <tspan class="faint">${round(p50, p50 < 100 ? 1 : 0)} ${unit}</tspan></text>`,
    ...dots,
    `<line class="median ${lane.kind}" x1="${x}" y1="${middle - 13}" x2="${x}" y2="${middle + 13}"/>`,
    beyond === 0 ? "" : `<text class="faint" x="${PLOT_RIGHT + 8}" y="${middle + 4}">${beyond} beyond →</text>`,
  ].join("");
}

function drawBar(x: number, top: number, bottom: number): string {
  const at = round(x);
  return `<line class="bar" x1="${at}" y1="${top}" x2="${at}" y2="${bottom}"/>`;
}

/** Spreads neighbours evenly, the same in every run: the golden ratio's multiples. */
function spread(index: number): number {
  return (index * 0.618_033_988_75) % 1;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
