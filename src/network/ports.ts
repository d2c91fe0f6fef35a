/** Ranges of ports, both ends included; none overlaps another. */
export type PortRanges = readonly (readonly [number, number])[];

export const ALL_PORTS: PortRanges = [[1, 65_535]];
/** What a rule without ports allows. */
export const WEB_PORTS: PortRanges = [
  [80, 80],
  [443, 443],
];

/** `443`, `443,8000-8100` or `*`; a text that says why not otherwise. */
export function parsePorts(text: string): PortRanges | string {
  if (text.trim() === "*") return ALL_PORTS;
  const ranges: [number, number][] = [];
  for (const part of text.split(",")) {
    const [, first, last] = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?$/.exec(part) ?? [];
    if (first === undefined) return `'${part.trim()}' is no port and no range of ports`;
    const [from, to] = [Number(first), Number(last ?? first)];
    if (from < 1 || to > 65_535) return `'${part.trim()}': ports are from 1 to 65535`;
    if (from > to) return `'${part.trim()}' ends before it begins`;
    ranges.push([from, to]);
  }
  ranges.sort(([a], [b]) => a - b);
  const merged: [number, number][] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && range[0] <= last[1] + 1) last[1] = Math.max(last[1], range[1]);
    else merged.push([...range]);
  }
  return merged;
}

export function hasPort(ranges: PortRanges, port: number): boolean {
  return ranges.some(([from, to]) => from <= port && port <= to);
}

/** Whether each port of the second is one of the first. */
export function coversPorts(ranges: PortRanges, others: PortRanges): boolean {
  return others.every(([from, to]) => ranges.some(([least, most]) => least <= from && to <= most));
}
