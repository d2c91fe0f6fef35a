import type { DefinitionKind, Finding } from "../../contract/scan.ts";
import { verdictOf } from "../../contract/scan.ts";
import { type Definition, keyOf, LISTS, MAX_DEFINITIONS, type ServerDefinitions } from "../scan/definitions.ts";
import { hashDefinition, pinnedOf } from "./definition-hash.ts";
import { type Lock, type LockScan, type LockServer, noDefinitions } from "./lock.ts";

export interface AddedDefinition {
  kind: DefinitionKind;
  name: string;
  hash: string;
  definition: Definition;
}

export interface ChangedDefinition {
  kind: DefinitionKind;
  name: string;
  hash: string;
  after: Definition;
  beforeHash: string;
  /** What was approved, where it has been kept. */
  before?: Definition;
}

export interface LockDifference {
  /** The lock has this server. */
  isKnown: boolean;
  added: AddedDefinition[];
  removed: { kind: DefinitionKind; name: string; hash: string }[];
  changed: ChangedDefinition[];
  /** What cannot be pinned, and is never offered: without a name, beyond bounds, or two of one name that differ. */
  refused: { kind: DefinitionKind; name: string; why: string }[];
}

/** What a server offers now, against what was approved. `kept` knows definitions by their hash. */
export function compareWithLock(
  lock: Lock,
  server: string,
  current: ServerDefinitions,
  kept: (hash: string) => Definition | undefined = () => undefined,
): LockDifference {
  const pinned = lock.get(server);
  const difference: LockDifference = {
    isKnown: pinned !== undefined,
    added: [],
    removed: [],
    changed: [],
    refused: [],
  };
  for (const [kind, list] of LISTS) {
    const { found, refused } = hashAll(kind, current[list] ?? []);
    difference.refused.push(...refused);
    const before = pinned?.definitions[kind] ?? new Map<string, string>();
    for (const one of found.values()) {
      const beforeHash = before.get(one.name);
      if (beforeHash === undefined) difference.added.push(one);
      else if (beforeHash !== one.hash) {
        const { definition: after, ...facts } = one;
        const approved = kept(beforeHash);
        difference.changed.push({
          ...facts,
          beforeHash,
          ...(approved === undefined ? {} : { before: approved }),
          after,
        });
      }
    }
    const isThere = new Set([...found.keys(), ...refused.map(({ name }) => name)]);
    for (const [name, hash] of before) if (!isThere.has(name)) difference.removed.push({ kind, name, hash });
  }
  return difference;
}

export type GateVerdict = "ok" | "new" | "changed";

/** Whether each tool that a server offers (or what else, by `kind`) may be used: only what is as it was approved, `ok`, may. What is not in the map may not, either. */
export function gate(
  lock: Lock,
  server: string,
  current: readonly unknown[],
  kind: DefinitionKind = "tool",
): Map<string, GateVerdict> {
  const before = lock.get(server)?.definitions[kind];
  const { found, refused } = hashAll(kind, current);
  const verdicts = new Map<string, GateVerdict>();
  for (const { name, hash } of found.values()) {
    const approved = before?.get(name);
    verdicts.set(name, approved === undefined ? "new" : approved === hash ? "ok" : "changed");
  }
  for (const { name } of refused) verdicts.set(name, before?.has(name) === true ? "changed" : "new");
  return verdicts;
}

/** By name. Of two that are the same, one; of two that are not, none. */
function hashAll(kind: DefinitionKind, definitions: readonly unknown[]) {
  const found = new Map<string, AddedDefinition>();
  const refused = new Map<string, LockDifference["refused"][number]>();
  for (const [index, definition] of definitions.slice(0, MAX_DEFINITIONS).entries()) {
    const name = keyOf(kind, definition) ?? `[${index}]`;
    const refuse = (why: string) => {
      refused.set(name, { kind, name, why });
      found.delete(name);
    };
    if (refused.has(name)) continue;
    try {
      const pinned = pinnedOf(kind, definition);
      const hash = hashDefinition(kind, pinned);
      const same = found.get(name);
      if (same !== undefined && same.hash !== hash) refuse("there are two of this name, which differ");
      else found.set(name, { kind, name, hash, definition: pinned });
    } catch (error) {
      refuse((error as Error).message);
    }
  }
  const left = definitions.length - MAX_DEFINITIONS;
  const name = `[${MAX_DEFINITIONS}]`;
  if (left > 0) refused.set(name, { kind, name, why: `this one and all behind it: ${MAX_DEFINITIONS} are looked at` });
  return { found, refused: [...refused.values()] };
}

/** What is known of a server besides its definitions. */
export type ServerFacts = Omit<LockServer, "definitions" | "scan"> & { scan?: LockScan };

/** The lock with what a server offers now: all of it, or of `only` those, by kind and name, with what was approved of the rest. */
export function approve(
  lock: Lock,
  server: string,
  current: ServerDefinitions,
  facts: ServerFacts,
  only?: readonly { kind: DefinitionKind; name: string }[],
): Lock {
  const before = lock.get(server);
  const definitions = noDefinitions();
  for (const [kind, list] of LISTS) {
    const { found } = hashAll(kind, current[list] ?? []);
    const isMeant = (name: string) => only === undefined || only.some((one) => one.kind === kind && one.name === name);
    if (only !== undefined)
      for (const [name, hash] of before?.definitions[kind] ?? []) if (!isMeant(name)) definitions[kind].set(name, hash);
    for (const { name, hash } of found.values()) if (isMeant(name)) definitions[kind].set(name, hash);
  }
  return new Map([...lock, [server, { ...facts, definitions }]]);
}

const INSTALLED = ["package", "packageVersion", "packageDigest", "packagesDigest", "image", "imageDigest"] as const;

/** The lock with what is installed of a server now; the very same when it says that already. */
export function withInstalled(lock: Lock, server: string, facts: ServerFacts): Lock {
  const before = lock.get(server);
  if (before === undefined || INSTALLED.every((field) => before[field] === facts[field])) return lock;
  const { definitions, scan, protocolVersion } = before;
  const rest = {
    definitions,
    ...(scan === undefined ? {} : { scan }),
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
  };
  const now = INSTALLED.flatMap((field) => (facts[field] === undefined ? [] : [[field, facts[field]] as const]));
  return new Map([...lock, [server, { ...Object.fromEntries(now), ...rest }]]);
}

/** What a lock says of findings. */
export function toLockScan(findings: readonly Finding[], at: Date): LockScan {
  const told = findings.filter(({ severity }) => severity !== "info");
  return {
    verdict: verdictOf(findings),
    at: at.toISOString(),
    findings: new Map(told.map((finding) => [findingKey(finding), finding.severity])),
  };
}

/** Names a finding from one scan to the next. */
export function findingKey({ kind, subject, code, where }: Finding): string {
  return [kind, subject, code, where].filter((part) => part !== "").join(" ");
}
