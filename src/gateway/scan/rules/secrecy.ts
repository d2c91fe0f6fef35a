import { patternRule } from "./pattern-rule.ts";

const NOT = "(?:do not|don't|dont|never|must not|mustn't|should not|shouldn't|without|avoid|refrain from)";
const PERSON = "(?:the |your |any )?(?:user|human|operator|customer|person|owner|developer)s?\\b(?!['-])";
const IT =
  "(?:(?:this|that|it|them|these|anything|any|of|the|about|details?|fact|steps?|instructions?|tool|call|result|file|content|contents) ){0,6}";

/** Text that keeps something from whoever the model works for. */
export const secrecy = patternRule("secrecy", [
  {
    severity: "danger",
    what: "tells the model to keep something from its user",
    pattern: new RegExp(`\\b${NOT} (?:ever )?(?:tell|telling|inform|informing|let|letting) ${PERSON}`),
  },
  {
    severity: "danger",
    what: "tells the model to keep something from its user",
    pattern: new RegExp(
      `\\b${NOT} (?:ever )?(?:tell|mention|reveal|disclos|show|explain|report|expos|describ|reference|display)(?:e|ing)? ${IT}to ${PERSON}`,
    ),
  },
  {
    severity: "danger",
    what: "tells the model to keep something from its user",
    pattern:
      /\bwithout (?:the |your )?(?:user|human|operator)(?:'s)? (?:knowledge|awareness|consent|knowing|noticing|seeing|being (?:told|aware))\b|\bkeep (?:this|it|that) (?:(?:a )?secret|hidden|confidential) from (?:the |your )?(?:user|human)/,
  },
  {
    severity: "danger",
    what: "tells the model to keep something from its user",
    pattern:
      /\b(?:do not|don't|never) (?:mention|reveal|disclose) (?:that you|this (?:to anyone|instruction|step|tool|file|note)|these (?:instructions|steps)|reading)\b/,
  },
  {
    severity: "warning",
    what: "may keep something from its user",
    pattern: new RegExp(
      `\\b${NOT} (?:ever )?(?:notify|notifying|alert|alerting|ask|asking|warn|warning|consult|consulting) ${PERSON}`,
    ),
  },
  {
    severity: "warning",
    what: "has the model act without asking",
    pattern:
      /\bwithout (?:asking|waiting) for (?:user |human |the user's |their |any )?(?:permission|confirmation|approval|consent)\b|\b(?:automatically|always|silently) (?:approve|accept|confirm) (?:all|any|every|the|this)\b/,
  },
]);
