import { describeRule, type EgressRule } from "../contract/policy.ts";
import { findNearest } from "../errors/nearest.ts";
import { parseName } from "./names.ts";
import { type PortRanges, parsePorts } from "./ports.ts";

/** Rules by the name of the set that they are. */
export type NamedSets = ReadonlyMap<string, readonly EgressRule[]>;

/** What one rule says of one name, or of all below it. */
export interface RuleEntry {
  name: string;
  isWildcard: boolean;
  ports: PortRanges;
  isPrivate: boolean;
  methods: ReadonlySet<string> | undefined;
  paths: readonly RegExp[] | undefined;
  /** The rule as it was given. */
  text: string;
}

/** A rule's entries, several for a named set; or why it cannot be meant. */
export function parseRule(rule: EgressRule, sets: NamedSets, defaultPorts: PortRanges): RuleEntry[] | { why: string } {
  const given = typeof rule === "string" ? { host: rule } : rule;
  const [, place = "", inText] = /^(.*?)(?::([\d,\s*-]+))?$/s.exec(given.host) ?? [];
  const host = place.trim();
  if (inText !== undefined && "ports" in given && given.ports !== undefined)
    return { why: `'${given.host}' has ports twice` };
  const portText = inText ?? ("ports" in given ? given.ports : undefined);
  const ports = portText === undefined ? undefined : parsePorts(portText);
  if (typeof ports === "string") return { why: ports };
  const limits = limitsOf(rule);
  const text = describeRule(rule);
  const set = sets.get(host);
  if (set !== undefined) return expandSet(set, { ports, limits, text, defaultPorts });
  const isWildcard = host.startsWith("*.");
  const parsed = parseName(isWildcard ? host.slice(2) : host);
  if ("why" in parsed) return parsed;
  const isBare = !isWildcard && !parsed.name.includes(".");
  if (isBare && portText === undefined && !limits.isPrivate) return { why: unknownSet(host, sets) };
  return [{ name: parsed.name, isWildcard, ports: ports ?? defaultPorts, text, ...limits }];
}

function limitsOf(rule: EgressRule): Pick<RuleEntry, "isPrivate" | "methods" | "paths"> {
  if (typeof rule === "string") return { isPrivate: false, methods: undefined, paths: undefined };
  return {
    isPrivate: rule.private ?? false,
    methods: rule.methods === undefined ? undefined : new Set(rule.methods),
    paths: rule.paths?.map(toPattern),
  };
}

/** `*` is any part of a path, `**` any rest of it. */
function toPattern(glob: string): RegExp {
  const source = glob
    .split(/(\*\*|\*)/)
    .map((part) => (part === "**" ? ".*" : part === "*" ? "[^/]*" : part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")))
    .join("");
  return new RegExp(`^${source}$`, "s");
}

/** Sets hold names, and no sets. */
const NO_SETS: NamedSets = new Map();

function expandSet(
  set: readonly EgressRule[],
  more: {
    ports: PortRanges | undefined;
    limits: Pick<RuleEntry, "isPrivate" | "methods" | "paths">;
    text: string;
    defaultPorts: PortRanges;
  },
): RuleEntry[] | { why: string } {
  const entries: RuleEntry[] = [];
  for (const rule of set) {
    const parsed = parseRule(rule, NO_SETS, more.defaultPorts);
    if ("why" in parsed) return { why: `in the set '${more.text}': ${parsed.why}` };
    for (const entry of parsed)
      entries.push({
        ...entry,
        ports: more.ports ?? entry.ports,
        isPrivate: entry.isPrivate || more.limits.isPrivate,
        methods: more.limits.methods ?? entry.methods,
        paths: more.limits.paths ?? entry.paths,
        text: more.text,
      });
  }
  return entries;
}

function unknownSet(word: string, sets: NamedSets): string {
  // Where no set is taken, such as for the hosts of a secret.
  if (sets.size === 0)
    return `'${word}' is no host: sets are not taken here, and a name without a dot needs a port, such as ${word}:443`;
  const nearest = findNearest(word, [...sets.keys()]);
  const meant = nearest === undefined ? `there are ${[...sets.keys()].join(", ")}` : `did you mean '${nearest}'?`;
  return `there is no set '${word}' (${meant}); a name without a dot needs a port, such as ${word}:443`;
}
