import { isDefinition } from "../definitions.ts";
import { toPlain, wordsOf } from "../plain-text.ts";
import type { Rule } from "../rule.ts";

/** Words that name what takes away or runs something, wherever they stand in a name. */
const DESTROYS = new Set([
  "delete",
  "remove",
  "drop",
  "destroy",
  "purge",
  "truncate",
  "erase",
  "wipe",
  "uninstall",
  "kill",
  "terminate",
  "overwrite",
  "revoke",
]);
const EXECUTES = new Set(["exec", "execute", "eval", "shell", "bash", "sudo"]);
/** Words that say so where a name begins with them. */
const CHANGES = new Set([
  "write",
  "update",
  "edit",
  "insert",
  "create",
  "move",
  "rename",
  "modify",
  "patch",
  "replace",
  "send",
  "publish",
  "deploy",
  "install",
  "merge",
  "push",
  "upload",
  "set",
  "put",
  "add",
  "append",
  "cancel",
  "close",
  "start",
  "stop",
  "restart",
]);
/** A name that begins so asks about what its other words name. */
const READS = new Set([
  "get",
  "list",
  "read",
  "search",
  "find",
  "show",
  "describe",
  "fetch",
  "query",
  "count",
  "check",
  "view",
  "is",
  "has",
  "can",
  "lookup",
  "preview",
  "explain",
  "validate",
  "lint",
  "diff",
  "compare",
  "simulate",
  "dry",
  "inspect",
  "watch",
  "wait",
  "download",
  "export",
  "analyze",
]);
/** What is executed changes nothing, as a rule. */
const QUERIES = new Set(["query", "queries", "search", "select", "report", "lookup", "request"]);

/** Tools whose names say another thing than their hints, by which clients decide whether to ask. */
export const annotations: Rule = {
  code: "hints_contradict_name",
  check: ({ kind, name, definition }, report) => {
    if (kind !== "tool" || !isDefinition(definition.annotations)) return;
    const { readOnlyHint, destructiveHint } = definition.annotations;
    const words = wordsOf(/^[\x20-\x7e]*$/.test(name) ? name : toPlain(name));
    const [first = ""] = words;
    if (READS.has(first)) return;
    const destroys = words.find((word) => DESTROYS.has(word));
    const executes = words.some((word) => QUERIES.has(word)) ? undefined : words.find((word) => EXECUTES.has(word));
    const verb = destroys ?? executes ?? (CHANGES.has(first) ? first : undefined);
    if (readOnlyHint === true && verb !== undefined)
      report(
        "warning",
        `its name says "${verb}", and its hints that it only reads: clients may not ask before it is called`,
        "annotations.readOnlyHint",
      );
    else if (destructiveHint === false && readOnlyHint !== true && destroys !== undefined)
      report(
        "warning",
        `its name says "${destroys}", and its hints that it destroys nothing`,
        "annotations.destructiveHint",
      );
  },
};
