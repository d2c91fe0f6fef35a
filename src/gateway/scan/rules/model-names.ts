import { quoteBriefly } from "../../../platform/hidden-text.ts";
import type { SetRule } from "../rule.ts";

/** What APIs of models take as a tool's name, with all that clients and the gateway put before it. */
const MOST = 64;

export const modelNames: SetRule = {
  code: "name_unusable",
  check: (subjects, { server, clientPrefix }, report) => {
    const prefix = `${clientPrefix}${server}__`;
    for (const subject of subjects) {
      if (subject.kind !== "tool") continue;
      if (!/^[A-Za-z0-9_-]+$/.test(subject.name))
        report(
          subject,
          "warning",
          `models take A-Z, a-z, 0-9, '_' and '-' in names: "${quoteBriefly(subject.name)}" is offered under another one`,
          "name",
        );
      else if (prefix.length + subject.name.length > MOST)
        report(
          subject,
          "warning",
          `"${prefix}${quoteBriefly(subject.name)}" has ${prefix.length + subject.name.length} characters, and models take ${MOST}: it is offered under a shorter name`,
          "name",
        );
    }
  },
};
