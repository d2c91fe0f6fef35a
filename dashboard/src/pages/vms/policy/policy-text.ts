import type { EgressPolicy, EgressRule } from "../../../../../src/contract/policy.ts";
import { ApiError } from "../../../api/client.ts";
import { showLine } from "../../../text.ts";

export const MODES: readonly { mode: EgressPolicy["mode"]; what: string }[] = [
  { mode: "none", what: "Nothing" },
  { mode: "allowlist", what: "The names that are allowed" },
  { mode: "public", what: "Every name with a public address" },
  { mode: "nat", what: "A network card: addresses by rules" },
];

/** A policy as the form has it: a rule a line. */
export interface PolicyDraft {
  mode: EgressPolicy["mode"];
  allow: string;
  deny: string;
}

export function toDraft({ mode, allow = [], deny = [] }: EgressPolicy): PolicyDraft {
  return { mode, allow: allow.map(ruleText).join("\n"), deny: deny.map(ruleText).join("\n") };
}

/** What the form says; names with addresses stay as they are. Throws ApiError for a rule that begins as JSON and is none. */
export function fromDraft({ mode, allow, deny }: PolicyDraft, before: EgressPolicy): EgressPolicy {
  const [allowed, denied] = [parseRules(allow, "Allowed"), parseRules(deny, "Denied")];
  return {
    mode,
    ...(allowed.length === 0 || mode === "none" || mode === "public" ? {} : { allow: allowed }),
    ...(denied.length === 0 || mode === "none" ? {} : { deny: denied }),
    ...(before.hosts === undefined || mode === "none" ? {} : { hosts: before.hosts }),
  };
}

/** A rule that says more than its text can is its JSON. */
function ruleText(rule: EgressRule): string {
  return typeof rule === "string" ? rule : JSON.stringify(rule);
}

function parseRules(text: string, field: string): EgressRule[] {
  return text.split("\n").flatMap((line, index) => {
    const rule = line.trim();
    if (!rule.startsWith("{")) return rule === "" ? [] : [rule];
    try {
      return [JSON.parse(rule) as EgressRule];
    } catch {
      throw new ApiError(0, { code: "INVALID_ARGUMENT", message: `${field}, line ${index + 1}: it is no rule’s JSON` });
    }
  });
}

/** A rule for people. */
export function describeRule(rule: EgressRule): string {
  if (typeof rule === "string") return showLine(rule);
  const { host, ports, methods = [], paths = [], private: isPrivate } = rule;
  const limits = [...methods, ...paths, ...(isPrivate ? ["private"] : [])];
  return showLine(
    `${host}${ports === undefined ? "" : `:${ports}`}${limits.length === 0 ? "" : ` (${limits.join(" ")})`}`,
  );
}
