import { describeRule, type EgressPolicy, type EgressRule } from "../contract/policy.ts";
import { parseName } from "./names.ts";
import { coversAddresses, parseAddressRule } from "./nat/address-rules.ts";
import { ALL_PORTS, coversPorts, type PortRanges, WEB_PORTS } from "./ports.ts";
import { type NamedSets, parseRule, type RuleEntry } from "./rule-text.ts";

/** What is wrong with a policy. An error keeps it from being used; a warning says that a rule does not do what it seems to. */
export interface Problem {
  /** `allow[2]` */
  field: string;
  rule?: string;
  message: string;
  severity: "error" | "warning";
}

interface Parsed {
  field: string;
  text: string;
  entries: RuleEntry[];
}

/** All of them, in the order of the policy. */
export function findProblems(policy: EgressPolicy, sets: NamedSets): Problem[] {
  if (policy.mode === "nat") return findAddressProblems(policy);
  const problems: Problem[] = [...findMisplaced(policy)];
  const parse = (list: "allow" | "deny", defaultPorts: PortRanges): Parsed[] =>
    (policy[list] ?? []).flatMap((rule: EgressRule, index) => {
      const [field, text] = [`${list}[${index}]`, describeRule(rule)];
      const entries = parseRule(rule, sets, defaultPorts);
      if (!("why" in entries)) return [{ field, text, entries }];
      problems.push({ field, rule: text, message: entries.why, severity: "error" });
      return [];
    });
  const deny = parse("deny", ALL_PORTS);
  const allow = parse("allow", WEB_PORTS);
  for (const rule of allow) problems.push(...findShadowed(rule, deny));
  for (const rules of [allow, deny]) problems.push(...findDoubled(rules));
  for (const rule of allow) problems.push(...findWide(rule));
  for (const given of Object.keys(policy.hosts ?? {})) {
    const parsed = parseName(given);
    if ("why" in parsed) problems.push({ field: `hosts.${given}`, message: parsed.why, severity: "error" });
  }
  return problems;
}

/** In the mode `nat` rules are of addresses, and nobody looks names up for the VM. */
function findAddressProblems(policy: EgressPolicy): Problem[] {
  const problems: Problem[] = [];
  const parse = (list: "allow" | "deny") =>
    (policy[list] ?? []).flatMap((rule, index) => {
      const [field, text, parsed] = [`${list}[${index}]`, describeRule(rule), parseAddressRule(rule)];
      if (!("why" in parsed)) return [{ field, text, parsed }];
      problems.push({ field, rule: text, message: parsed.why, severity: "error" });
      return [];
    });
  const deny = parse("deny");
  for (const { field, text, parsed } of parse("allow")) {
    const by = deny.find((rule) => coversAddresses(rule.parsed, parsed));
    if (by === undefined) continue;
    const message = `it can never match: '${by.text}' (${by.field}) denies all of it`;
    problems.push({ field, rule: text, message, severity: "error" });
  }
  if (Object.keys(policy.hosts ?? {}).length > 0)
    problems.push({ field: "hosts", message: "in the mode nat the VM asks name servers itself", severity: "error" });
  return problems;
}

function* findMisplaced({ mode, allow = [], deny = [], hosts = {} }: EgressPolicy): Generator<Problem> {
  const error = (field: string, message: string): Problem => ({ field, message, severity: "error" });
  if (mode === "none") {
    if (allow.length > 0) yield error("allow", "mode none allows nothing: use allowlist");
    if (deny.length > 0) yield error("deny", "mode none allows nothing that could be denied");
    if (Object.keys(hosts).length > 0) yield error("hosts", "mode none resolves no names");
  }
  if (mode === "allowlist" && allow.length === 0)
    yield { field: "allow", message: "there is no rule: nothing can be reached", severity: "warning" };
}

function coversEntry(wide: RuleEntry, entry: RuleEntry): boolean {
  const isName = wide.isWildcard
    ? entry.name.endsWith(`.${wide.name}`) || (entry.isWildcard && entry.name === wide.name)
    : !entry.isWildcard && entry.name === wide.name;
  return isName && coversPorts(wide.ports, entry.ports);
}

/** An allow of which nothing is left. */
function* findShadowed({ field, text, entries }: Parsed, deny: readonly Parsed[]): Generator<Problem> {
  const by = entries.map((entry) => deny.find((rule) => rule.entries.some((wide) => coversEntry(wide, entry))));
  if (entries.length === 0 || by.includes(undefined)) return;
  const denying = by[0] as Parsed;
  yield {
    field,
    rule: text,
    message: `it can never match: '${denying.text}' (${denying.field}) denies all of it`,
    severity: "error",
  };
}

/** A rule that another one before it makes superfluous. */
function* findDoubled(rules: readonly Parsed[]): Generator<Problem> {
  const narrows = ({ methods, paths }: RuleEntry) => methods !== undefined || paths !== undefined;
  for (const [index, rule] of rules.entries()) {
    const other = rules.find(
      (candidate, place) =>
        place < index &&
        rule.entries.every((entry) =>
          candidate.entries.some(
            (wide) => coversEntry(wide, entry) && !narrows(wide) && (wide.isPrivate || !entry.isPrivate),
          ),
        ),
    );
    if (other === undefined || rule.entries.length === 0) continue;
    const message = `'${other.text}' (${other.field}) covers all of it`;
    yield { field: rule.field, rule: rule.text, message, severity: "warning" };
  }
}

function* findWide({ field, text, entries }: Parsed): Generator<Problem> {
  const wide = entries.find(({ name, isWildcard }) => isWildcard && !name.includes("."));
  if (wide !== undefined)
    yield { field, rule: text, message: `it allows all names that end in .${wide.name}`, severity: "warning" };
  const open = entries.find(({ isPrivate, isWildcard }) => isPrivate && isWildcard);
  if (open !== undefined)
    yield {
      field,
      rule: text,
      message: `whoever answers for names below ${open.name} chooses which private addresses the VM reaches`,
      severity: "warning",
    };
}
