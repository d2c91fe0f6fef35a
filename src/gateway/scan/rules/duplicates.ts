import { quoteBriefly } from "../../../platform/hidden-text.ts";
import { foldName, skeletonOf } from "../plain-text.ts";
import type { SetRule, Subject } from "../rule.ts";

/** Definitions of one server that are not told apart, by clients or by people. */
export const duplicates: SetRule = {
  code: "duplicate",
  check: (subjects, _around, report) => {
    const names = new Map<string, Subject>();
    const folded = new Map<string, Subject>();
    const skeletons = new Map<string, Subject>();
    for (const subject of subjects) {
      const { kind, name } = subject;
      const isUri = kind === "resource" || kind === "resource_template";
      const where = kind === "resource" ? "uri" : isUri ? "uriTemplate" : "name";
      const quoted = `"${quoteBriefly(name)}"`;
      if (names.has(`${kind} ${name}`)) {
        report(subject, "danger", `${quoted} is defined twice: which one is called is a matter of luck`, where);
        continue;
      }
      names.set(`${kind} ${name}`, subject);
      if (isUri) continue;
      const [fold, skeleton] = [`${kind} ${foldName(name)}`, `${kind} ${skeletonOf(name)}`];
      const alike = skeletons.get(skeleton);
      if (folded.has(fold))
        report(
          subject,
          "warning",
          `${quoted} differs from "${quoteBriefly(folded.get(fold)?.name ?? "")}" in case or separators only`,
          where,
        );
      else if (alike !== undefined)
        report(subject, "danger", `${quoted} looks like "${quoteBriefly(alike.name)}"`, where);
      folded.set(fold, folded.get(fold) ?? subject);
      skeletons.set(skeleton, alike ?? subject);
    }
  },
};
