import { quoteBriefly } from "../../../platform/hidden-text.ts";
import type { Rule } from "../rule.ts";

const RUN = /[A-Za-z0-9+/_=-]+/g;
/** As much as no identifier, digest or path has. */
const LONG = 200;
const ESCAPES = /(?:\\x[0-9a-f]{2}){8}|(?:\\u[0-9a-f]{4}){8}|(?:&#x?[0-9a-f]{2,6};){8}|(?:%[0-9a-f]{2}){12}/i;

/** Text that nobody can read as it is, and a model can. */
export const encoded: Rule = {
  code: "encoded_text",
  check: ({ walk }, report) => {
    for (const { where, text } of walk.texts) {
      const run = text.match(RUN)?.find((one) => one.length >= LONG && /\d/.test(one) && /[a-z]/i.test(one));
      if (run !== undefined)
        report("warning", `has ${run.length} characters of encoded data: "${quoteBriefly(run, 40)}"`, where);
      const escapes = ESCAPES.exec(text)?.[0];
      if (escapes !== undefined) report("warning", `has a text in escapes: "${quoteBriefly(escapes)}"`, where);
    }
  },
};
