import type { Severity } from "../../../contract/scan.ts";
import { quoteBriefly } from "../../../platform/hidden-text.ts";
import type { Report, Rule, Subject } from "../rule.ts";

/** Words that are looked for in the plain form of a text (plain-text.ts). No pattern may try a text's parts again and again: gaps are bounded. */
export interface Pattern {
  severity: Severity;
  what: string;
  pattern: RegExp;
  /** Names of members are looked at, too; words in them are separated by spaces then. */
  inKeys?: true;
}

/** A rule of patterns: the gravest one that a text has is reported, once a text. */
export function patternRule(code: string, patterns: readonly Pattern[]): Rule {
  const rank = { danger: 0, warning: 1, info: 2 };
  const sorted = [...patterns].sort((a, b) => rank[a.severity] - rank[b.severity]);
  return { code, check: (subject, report) => checkTexts(sorted, subject, report) };
}

function checkTexts(patterns: readonly Pattern[], { plain }: Subject, report: Report): void {
  for (const { where, text, isKey } of plain) {
    for (const { severity, what, pattern, inKeys } of patterns) {
      if (isKey && !inKeys) continue;
      const match = pattern.exec(isKey ? text.replace(/[_-]/g, " ") : text);
      if (match === null) continue;
      report(severity, `${what}: "${quoteBriefly(match[0].trim(), 120)}"`, where);
      break;
    }
  }
}
