import { showHidden } from "../../platform/hidden-text.ts";
import type { Definition } from "../scan/definitions.ts";

/** Lines that stay the same are shown around those that do not. */
const CONTEXT = 3;
/** The table that longer texts would need is not made: all is shown as removed and added. */
const MAX_CELLS = 4_000_000;

/**
 * What has changed in a definition, for people: lines that begin with `- `, `+ ` or two spaces, and `…` for lines that are left out. Texts are
 * broken where sentences end, and all that is hidden in them is written out.
 */
export function diffDefinitions(before: Definition | undefined, after: Definition | undefined): string[] {
  const [old, now] = [before, after].map((one) => (one === undefined ? [] : formatDefinition(one))) as [
    string[],
    string[],
  ];
  return elide(diffLines(old, now));
}

/** Pretty-printed, members in one order, a sentence to a line. */
export function formatDefinition(definition: Definition): string[] {
  return format(definition, "", "").map(showHidden);
}

function format(value: unknown, label: string, indent: string): string[] {
  if (typeof value === "string") return formatText(value, label, indent);
  if (typeof value !== "object" || value === null) return [`${indent}${label}${JSON.stringify(value ?? null)}`];
  const isList = Array.isArray(value);
  const members: [string, unknown][] = isList
    ? value.map((member) => ["", member])
    : Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, member]) => [`${JSON.stringify(key)}: `, member]);
  const [open, close] = isList ? "[]" : "{}";
  if (members.length === 0) return [`${indent}${label}${open}${close}`];
  return [
    `${indent}${label}${open}`,
    ...members.flatMap(([key, member]) => format(member, key, `${indent}  `)),
    `${indent}${close}`,
  ];
}

function formatText(text: string, label: string, indent: string): string[] {
  const parts = text.split(/(?<=\n)|(?<=[.!?] )/);
  if (parts.length === 1) return [`${indent}${label}${JSON.stringify(text)}`];
  return [`${indent}${label.trimEnd()}`, ...parts.map((part) => `${indent}  ${JSON.stringify(part)}`)];
}

type Line = `${"-" | "+" | " "} ${string}`;

function diffLines(old: string[], now: string[]): Line[] {
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const same = (lines: string[]): Line[] => lines.map((line): Line => `  ${line}`);
  const middle = diffMiddle(old.slice(start, old.length - end), now.slice(start, now.length - end));
  return [...same(old.slice(0, start)), ...middle, ...same(old.slice(old.length - end))];
}

/** By the longest common subsequence. */
function diffMiddle(old: string[], now: string[]): Line[] {
  const width = now.length + 1;
  if ((old.length + 1) * width > MAX_CELLS)
    return [...old.map((line): Line => `- ${line}`), ...now.map((line): Line => `+ ${line}`)];
  const table = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number) => table[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      table[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      lines.push(`  ${old[i]}`);
      i++;
      j++;
    } else if (j >= now.length || (i < old.length && at(i + 1, j) >= at(i, j + 1))) lines.push(`- ${old[i++]}`);
    else lines.push(`+ ${now[j++]}`);
  }
  return lines;
}

function elide(lines: Line[]): string[] {
  const isShown = new Uint8Array(lines.length);
  for (const [index, line] of lines.entries())
    if (!line.startsWith(" ")) isShown.fill(1, Math.max(0, index - CONTEXT), index + CONTEXT + 1);
  const shown: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (isShown[index]) shown.push(line);
    else if (shown.length > 0 && shown.at(-1) !== "  …") shown.push("  …");
  }
  if (shown.at(-1) === "  …") shown.pop();
  return shown;
}
