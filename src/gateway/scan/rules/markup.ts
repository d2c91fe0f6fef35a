import { patternRule } from "./pattern-rule.ts";

/** Marks that set off a text as if it came from somebody with more to say. */
export const markup = patternRule("markup", [
  {
    severity: "danger",
    what: "sets text off as an order to the model",
    pattern:
      /<\s{0,3}\/?\s{0,3}(?:important|secret|hidden|override|critical|priority|system[-_ ]?(?:prompt|message|instructions?|override|reminder))\s{0,3}>/,
    inKeys: true,
  },
  {
    severity: "danger",
    what: "has marks of a model's own chat format",
    pattern: /<\|[a-z_]{2,30}\|>|\[\/?inst\]|<<\/?sys>>|<(?:start|end)_of_turn>/,
    inKeys: true,
  },
  {
    severity: "warning",
    what: "sets text off as if it came from somebody else",
    pattern:
      /<\s{0,3}\/\s{0,3}(?:system|assistant|instructions?|admin|developer|user|tool_result|function_results?)\s{0,3}>/,
  },
]);
