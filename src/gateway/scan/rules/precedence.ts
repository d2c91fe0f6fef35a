import { patternRule } from "./pattern-rule.ts";

/** Text that would have the model use a tool in place of others, or before all. */
export const precedence = patternRule("precedence", [
  {
    severity: "warning",
    what: "puts itself before other tools",
    pattern:
      /\b(?:takes? (?:precedence|priority) over|supersedes?|replaces?|overrides?) (?:(?:all|any|every|the) ){0,2}other (?:tools?|functions?|servers?)\b|\binstead of (?:(?:all|any|every|the) ){0,2}other (?:\w+ )?(?:tools?|functions?|servers?)\b/,
  },
  {
    severity: "warning",
    what: "says how other tools are to be used",
    pattern:
      /\b(?:do not|don't|never) (?:use|call|invoke) (?:(?:any|the|all) ){0,2}other (?:\w+ )?(?:tools?|functions?|servers?)\b|\bwhen (?:using|calling|invoking) (?:any )?other tools?\b[^.]{0,40}\b(?:must|always|also|first)\b/,
  },
  {
    severity: "info",
    what: "asks to be called without need",
    pattern:
      /\b(?:always|must) (?:first )?(?:call|use|invoke|run) this (?:tool|function)? ?(?:first|before (?:any|all|every|each|using any|doing)|for (?:every|each|all|any)|at the (?:start|beginning) of)/,
  },
]);
