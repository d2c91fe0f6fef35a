import type { Rule } from "../rule.ts";
import { MAX_DEPTH, MAX_NODES, MAX_TEXT } from "../walk.ts";

/** Each call of a model carries all descriptions: 10 KiB are some 2,500 tokens. */
const LONG_TEXT = 10 * 1024;
const LARGE = 64 * 1024;
const DEEP = 24;

const CUTS = {
  depth: `it is nested deeper than ${MAX_DEPTH} levels: what is below has not been looked at`,
  members: `it has more than ${MAX_NODES} members: the others have not been looked at`,
  text: `it has a text of more than ${MAX_TEXT / 1024} KiB, or more than 1 MiB of them: the rest has not been looked at`,
};

/** Definitions that are larger than any use has need of. */
export const size: Rule = {
  code: "size",
  check: ({ walk }, report) => {
    if (walk.cut !== undefined) {
      report("danger", CUTS[walk.cut], "");
      return;
    }
    if (walk.size > LARGE)
      report("warning", `it takes about ${Math.round(walk.size / 1024)} KiB of the model's context`, "");
    if (walk.depth > DEEP) report("warning", `it is nested ${walk.depth} levels deep, which clients may refuse`, "");
    const long = walk.texts.find(({ text }) => text.length > LONG_TEXT);
    if (long !== undefined) report("warning", `a text of ${Math.round(long.text.length / 1024)} KiB`, long.where);
  },
};
