/** Sizes and times as people write them: the same on the command line and in configuration files. */

const SIZE_UNITS = new Map(
  Object.entries({
    "": 1,
    m: 1,
    mib: 1,
    mb: 1,
    g: 1024,
    gib: 1024,
    gb: 1024,
    t: 1024 * 1024,
    tib: 1024 * 1024,
  }),
);

export const SIZE_WANTED = "a size such as 512 (MiB), 512M or 2G";

/** `512`, `512M`, `2G`: MiB. Undefined for what is no size. */
export function readMib(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text.trim());
  const factor = SIZE_UNITS.get((match?.[2] ?? "?").toLowerCase());
  return match === null || factor === undefined ? undefined : Math.round(Number(match[1]) * factor);
}

const TIME_UNITS = new Map(
  Object.entries({
    ms: 1,
    s: 1000,
    "": 1000,
    m: 60_000,
    min: 60_000,
    h: 3_600_000,
    d: 86_400_000,
  }),
);

export const TIME_WANTED = "a time such as 30 (seconds), 500ms, 5m, 1h or 30d";

/** `30`, `30s`, `500ms`, `5m`, `1h`, `30d`: milliseconds. Undefined for what is no time, or none that passes. */
export function readDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim());
  const factor = TIME_UNITS.get(match?.[2] ?? "?");
  const ms = match === null || factor === undefined ? 0 : Math.round(Number(match[1]) * factor);
  return ms < 1 ? undefined : ms;
}
