import type { FirebreakError } from "../errors/firebreak-error.ts";
import { stripControl, stripLines } from "../platform/terminal-text.ts";

/** Prints a value as JSON for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** One clear error: what happened (in `message`, where people have other words for it than the API), its code, what to do next. */
export function printError(error: FirebreakError, asJson: boolean, message = error.message): void {
  if (asJson) {
    process.stderr.write(`${JSON.stringify({ error: error.toBody() })}\n`);
    return;
  }
  process.stderr.write(`firebreak: ${stripLines(message, "    ")} (${error.code})\n`);
  if (error.hint !== undefined) process.stderr.write(`  ${stripLines(error.hint, "  ")}\n`);
}

const SHOWN_SKIPPED = 20;

/** What was left out of a copy, by name, on stderr. */
export function printSkipped(skipped: { path: string; why: string }[]): void {
  for (const { path, why } of skipped.slice(0, SHOWN_SKIPPED))
    process.stderr.write(`left out: ${stripControl(path)} (${stripControl(why)})\n`);
  const rest = skipped.length - SHOWN_SKIPPED;
  if (rest > 0) process.stderr.write(`left out: ${rest} more; --json lists all\n`);
}

/** Facts about one thing, a line each; those that are not known are left out. */
export function printFacts(facts: [label: string, value: string | undefined][]): void {
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
  const width = Math.max(12, ...known.map(([label]) => label.length));
  for (const [label, value] of known) process.stdout.write(`${label.padEnd(width)} ${stripControl(value)}\n`);
}

/** Rows in columns; the first row is the head. */
export function printTable(head: string[], rows: string[][]): void {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  for (const row of all) {
    const cells = row
      .map(stripControl)
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)));
    process.stdout.write(`${cells.join("  ").trimEnd()}\n`);
  }
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** How long, in one unit: `12 ms`, `3.4 s`, `90 s`, `10 min`, `2 h`, `3 d`. What a unit would round away shows in a smaller one. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const units: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
  ];
  const [unitMs, unit] = units.find(([size]) => ms >= size && ms % size === 0) ?? [1000, "s"];
  return `${Math.round(ms / unitMs)} ${unit}`;
}

/** How long ago, in one unit: `12 s`, `3 min`, `2 h`, `5 d`. */
export function formatAge(since: string | undefined, nowMs = Date.now()): string {
  if (since === undefined) return "-";
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(since)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
