import type { EgressMode } from "../../contract/policy.ts";
import { type PortRanges, parsePorts } from "../../network/ports.ts";

/** The most that a server may be given; what is absent is not bounded. */
export interface Bounds {
  access?: "none" | "ro" | "rw";
  network?: readonly EgressMode[];
  ports?: PortRanges;
}

const ACCESS_ORDER = ["none", "ro", "rw"] as const;

/** `[profiles.NAME] only`, or why it cannot be meant, by its key. */
export function readBounds(only: {
  access?: "none" | "ro" | "rw" | undefined;
  network?: readonly EgressMode[] | undefined;
  ports?: string | undefined;
}): Bounds | { key: string; why: string } {
  const ports = only.ports === undefined ? undefined : parsePorts(only.ports);
  if (typeof ports === "string") return { key: "ports", why: ports };
  return {
    ...(only.access === undefined ? {} : { access: only.access }),
    ...(only.network === undefined ? {} : { network: only.network }),
    ...(ports === undefined ? {} : { ports }),
  };
}

/** What both allow: of a profile and those that it extends. */
export function narrow(a: Bounds, b: Bounds): Bounds {
  return merge(a, b, {
    access: (x, y) => (ACCESS_ORDER.indexOf(x) < ACCESS_ORDER.indexOf(y) ? x : y),
    network: (x, y) => x.filter((mode) => y.includes(mode)),
    ports: intersect,
  });
}

/** What one of the two allows: of the profiles of a server. One that does not speak of a thing leaves it to the others. */
export function widen(a: Bounds, b: Bounds): Bounds {
  return merge(a, b, {
    access: (x, y) => (ACCESS_ORDER.indexOf(x) > ACCESS_ORDER.indexOf(y) ? x : y),
    network: (x, y) => [...new Set([...x, ...y])],
    ports: (x, y) => {
      const ranges = [...x, ...y].map(([from, to]) => `${from}-${to}`).join(",");
      // Made of ranges, it is some.
      return parsePorts(ranges) as PortRanges;
    },
  });
}

type Both<T> = (x: T, y: T) => T;

function merge(
  a: Bounds,
  b: Bounds,
  of: { access: Both<NonNullable<Bounds["access"]>>; network: Both<readonly EgressMode[]>; ports: Both<PortRanges> },
): Bounds {
  const access =
    a.access !== undefined && b.access !== undefined ? of.access(a.access, b.access) : (a.access ?? b.access);
  const network =
    a.network !== undefined && b.network !== undefined ? of.network(a.network, b.network) : (a.network ?? b.network);
  const ports = a.ports !== undefined && b.ports !== undefined ? of.ports(a.ports, b.ports) : (a.ports ?? b.ports);
  return {
    ...(access === undefined ? {} : { access }),
    ...(network === undefined ? {} : { network }),
    ...(ports === undefined ? {} : { ports }),
  };
}

function intersect(a: PortRanges, b: PortRanges): PortRanges {
  return a.flatMap(([from, to]) =>
    b.flatMap(([least, most]) => {
      const [low, high] = [Math.max(from, least), Math.min(to, most)];
      return low <= high ? [[low, high] as const] : [];
    }),
  );
}

export function describePorts(ranges: PortRanges): string {
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ") || "none";
}
