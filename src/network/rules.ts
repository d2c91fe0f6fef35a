import type { EgressMode, EgressPolicy } from "../contract/policy.ts";
import { parseName } from "./names.ts";
import { ALL_PORTS, coversPorts, hasPort, WEB_PORTS } from "./ports.ts";
import { type NamedSets, parseRule, type RuleEntry } from "./rule-text.ts";

export type { NamedSets } from "./rule-text.ts";

/** Of what a guest asks for. */
export interface Verdict {
  isAllowed: boolean;
  /** The rule that decided, as it was given. */
  rule?: string;
  /** For people, and for the guest's programs. */
  why: string;
  /** The name may lead into a private network. */
  isPrivateAllowed: boolean;
  /** Requests are looked at one by one: TLS is opened. */
  needsHttp: boolean;
}

/** Rules by the name that they are of. */
class RuleIndex {
  readonly #exact = new Map<string, RuleEntry[]>();
  readonly #below = new Map<string, RuleEntry[]>();

  constructor(entries: Iterable<RuleEntry>) {
    for (const entry of entries) {
      const index = entry.isWildcard ? this.#below : this.#exact;
      const there = index.get(entry.name);
      if (there === undefined) index.set(entry.name, [entry]);
      else there.push(entry);
    }
  }

  /** Those of a name: its own first, then those of the names above it, the nearest first. */
  *of(name: string): Generator<RuleEntry> {
    yield* this.#exact.get(name) ?? [];
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1))
      yield* this.#below.get(name.slice(dot + 1)) ?? [];
  }
}

/** A policy made ready for decisions. */
export interface CompiledPolicy {
  mode: EgressMode;
  allow: RuleIndex;
  deny: RuleIndex;
  hosts: ReadonlyMap<string, string>;
}

/** Of a policy without problems that are errors; rules that cannot be meant allow nothing. */
export function compilePolicy(policy: EgressPolicy, sets: NamedSets): CompiledPolicy {
  const entries = (rules: EgressPolicy["allow"], ports: typeof ALL_PORTS) =>
    (rules ?? []).flatMap((rule) => {
      const parsed = parseRule(rule, sets, ports);
      return "why" in parsed ? [] : parsed;
    });
  const hosts = Object.entries(policy.hosts ?? {}).flatMap(([given, address]) => {
    const parsed = parseName(given);
    return "name" in parsed ? [[parsed.name, address] as const] : [];
  });
  return {
    mode: policy.mode,
    allow: new RuleIndex(entries(policy.allow, WEB_PORTS)),
    deny: new RuleIndex(entries(policy.deny, ALL_PORTS)),
    hosts: new Map(hosts),
  };
}

const denied = (why: string, rule?: string): Verdict => ({
  isAllowed: false,
  why,
  isPrivateAllowed: false,
  needsHttp: false,
  ...(rule === undefined ? {} : { rule }),
});

/** Whether a name, in its one form (`parseName`), may be used at all. */
export function decideName(policy: CompiledPolicy, name: string): Verdict {
  const closed = whyClosed(policy);
  if (closed !== undefined) return denied(closed);
  for (const entry of policy.deny.of(name))
    if (coversPorts(entry.ports, ALL_PORTS)) return denied(`${name} is denied by the rule '${entry.text}'`, entry.text);
  const [entry] = policy.allow.of(name);
  if (entry === undefined && policy.mode !== "public") return denied(`no rule of the policy allows ${name}`);
  return {
    isAllowed: true,
    why: "",
    isPrivateAllowed: false,
    needsHttp: false,
    ...(entry === undefined ? {} : { rule: entry.text }),
  };
}

/** Whether a connection to a name, in its one form, may be made. Deny before allow; of rules that allow it, the widest counts. */
export function decideConnection(policy: CompiledPolicy, name: string, port: number): Verdict {
  const closed = whyClosed(policy);
  if (closed !== undefined) return denied(closed);
  for (const entry of policy.deny.of(name))
    if (hasPort(entry.ports, port)) return denied(`${name}:${port} is denied by the rule '${entry.text}'`, entry.text);
  const matching = [...policy.allow.of(name)];
  const allowing = matching.filter((entry) => hasPort(entry.ports, port));
  const [first] = allowing;
  if (first === undefined) {
    if (policy.mode === "public") return { isAllowed: true, why: "", isPrivateAllowed: false, needsHttp: false };
    const [named] = matching;
    if (named === undefined) return denied(`no rule of the policy allows ${name}`);
    const ports = named.ports.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
    return denied(`the rule '${named.text}' allows ${name} at port ${ports}, not ${port}`, named.text);
  }
  const free = allowing.find((entry) => entry.methods === undefined && entry.paths === undefined);
  return {
    isAllowed: true,
    rule: (free ?? first).text,
    why: "",
    isPrivateAllowed: allowing.some((entry) => entry.isPrivate),
    needsHttp: free === undefined,
  };
}

/** Whether a request of a connection that is allowed may go out. */
export function decideRequest(
  policy: CompiledPolicy,
  { name, port, method, path }: { name: string; port: number; method: string; path: string },
): Verdict {
  const connection = decideConnection(policy, name, port);
  if (!connection.isAllowed || !connection.needsHttp) return connection;
  const plain = plainPath(path);
  for (const entry of policy.allow.of(name)) {
    if (!hasPort(entry.ports, port)) continue;
    const isMethod = entry.methods?.has(method) ?? true;
    const isPath = entry.paths?.some((pattern) => plain !== undefined && pattern.test(plain)) ?? true;
    if (isMethod && isPath) return { ...connection, rule: entry.text };
  }
  return denied(`no rule of the policy allows ${method} ${path} at ${name}`);
}

/** A path as servers read it: without its query, decoded once, and with no way up or doubled slash; undefined for what servers read in different ways. */
function plainPath(path: string): string | undefined {
  const [bare = ""] = path.split(/[?#]/, 1);
  try {
    const decoded = decodeURIComponent(bare);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are refused
    if (/\/\/|\\|(?:^|\/)\.\.?(?:\/|$)|%|[\x00-\x1f]/.test(decoded)) return undefined;
    return decoded;
  } catch {
    return undefined;
  }
}

function whyClosed({ mode }: CompiledPolicy): string | undefined {
  return mode === "none" ? "this VM has no network; open one with: firebreak vm policy set VM --allow HOST" : undefined;
}
