import { quoteBriefly } from "../../../platform/hidden-text.ts";
import { foldName, skeletonOf } from "../plain-text.ts";
import type { SetRule, Subject, Surroundings } from "../rule.ts";

/** Of each other server, and of all together. */
const MAX_TOOLS = 5_000;
const MAX_ALL_TOOLS = 50_000;

interface Known {
  server: string;
  tool: string;
}

/** Tools that a model may take for those of another server, or that tell it what to do with those. */
export const shadowing: SetRule = {
  code: "shadows",
  check: (subjects, { otherServers, server }, report) => {
    const others = otherServers.filter(({ name }) => name !== server);
    const known = indexOf(others);
    const own = new Set(subjects.filter(({ kind }) => kind === "tool").map(({ name }) => name));
    for (const subject of subjects) {
      if (subject.kind === "tool") {
        const posed = others.find(({ name }) => subject.name.toLowerCase().includes(`${name}__`));
        if (posed !== undefined)
          report(subject, "danger", `its name has that of the server '${posed.name}' in it`, "name");
        const found = compare(subject.name, known);
        if (found !== undefined) report(subject, found.severity, found.message, "name");
      }
      for (const { where, tool } of mentions(subject, known, own))
        report(
          subject,
          "warning",
          `speaks of the tool "${quoteBriefly(tool.tool)}" of the server '${tool.server}'`,
          where,
        );
    }
  },
};

interface Index {
  exact: Map<string, Known>;
  folded: Map<string, Known>;
  skeletons: Map<string, Known>;
}

function indexOf(servers: Surroundings["otherServers"]): Index {
  const index: Index = { exact: new Map(), folded: new Map(), skeletons: new Map() };
  let all = 0;
  for (const { name: server, tools } of servers)
    for (const name of tools.slice(0, MAX_TOOLS)) {
      if (++all > MAX_ALL_TOOLS) return index;
      const tool = name.slice(0, 128);
      const known = { server, tool };
      if (!index.exact.has(tool)) index.exact.set(tool, known);
      if (!index.folded.has(foldName(tool))) index.folded.set(foldName(tool), known);
      if (!index.skeletons.has(skeletonOf(tool))) index.skeletons.set(skeletonOf(tool), known);
    }
  return index;
}

function compare(name: string, { exact, folded, skeletons }: Index) {
  const same = exact.get(name);
  // Each is offered with its server's name before its own: common, and a model may still mix them up.
  if (same !== undefined)
    return { severity: "info", message: `'${same.server}' has a tool of this name, too` } as const;
  const varied = folded.get(foldName(name));
  if (varied !== undefined)
    return {
      severity: "warning",
      message: `differs from "${quoteBriefly(varied.tool)}" of '${varied.server}' in case or separators only`,
    } as const;
  const alike = skeletons.get(skeletonOf(name));
  if (alike === undefined) return undefined;
  return {
    severity: "danger",
    message: `looks like "${quoteBriefly(alike.tool)}" of '${alike.server}', and is another name`,
  } as const;
}

/** Names of several words only: `search` or `echo` is a word of any description. */
function* mentions(
  { walk, kind }: Subject,
  { exact }: Index,
  own: ReadonlySet<string>,
): Generator<{ where: string; tool: Known }> {
  if (exact.size === 0) return;
  for (const { where, text, isKey } of walk.texts) {
    if (isKey || kind === "resource") continue;
    for (const [word] of text.matchAll(/[A-Za-z][A-Za-z0-9]{0,63}(?:[_-]{1,2}[A-Za-z0-9]{1,64}){1,8}/g)) {
      const tool = exact.get(word) ?? exact.get(word.slice(word.indexOf("__") + 2));
      if (tool === undefined || own.has(word)) continue;
      yield { where, tool };
      break;
    }
  }
}
