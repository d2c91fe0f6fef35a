import { patternRule } from "./pattern-rule.ts";

const ORDERS = "(?:instructions?|prompts?|guidelines?|directions?|directives?|messages?|commands?|context)";

/** Text that would take the place of what the model has been told by others. */
export const override = patternRule("override", [
  {
    severity: "danger",
    what: "tells the model to leave aside what it was told",
    pattern: new RegExp(
      `\\b(?:ignore|disregard|forget|override|bypass)\\b (?:(?:all|any|the|of|your|these|those|my|every|other) ){0,4}(?:previous|prior|above|earlier|preceding|original|system|existing|safety)(?: (?:system|safety|user))? ${ORDERS}\\b`,
    ),
  },
  {
    severity: "danger",
    what: "tells the model to leave aside what it was told",
    pattern:
      /\b(?:ignore|disregard|forget) (?:everything|anything|all|what) (?:that )?(?:you (?:were|have been|are) (?:told|given|taught)|above|before this|said before|was said)\b/,
  },
  {
    severity: "danger",
    what: "gives the model another part to play",
    pattern:
      /\byou are (?:now|no longer) (?:a|an|in|the|bound)(?: [\w-]+){0,3} (?:mode|assistant|agent|ai|model|dan|rules?|restrictions?)\b/,
  },
  {
    severity: "warning",
    what: "gives the model instructions of its own",
    pattern:
      /\b(?:new|updated|real|actual|true|hidden|secret) (?:system )?(?:instructions?|task|goal|objective)(?: for (?:the )?(?:ai|model|assistant|agent|llm))? ?(?::|are\b|is to\b)/,
  },
  {
    severity: "warning",
    what: "speaks to the model as its system prompt",
    pattern:
      /(?:^|[.\n] )(?:system|developer|assistant) ?(?:prompt|message|note|override)? ?: ?(?:you|always|never|do|the (?:assistant|model|ai))\b/,
  },
]);
