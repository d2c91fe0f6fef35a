import { quoteBriefly } from "../../../platform/hidden-text.ts";
import { isDefinition } from "../definitions.ts";
import type { Report, Rule } from "../rule.ts";
import { MAX_DEPTH, MAX_NODES } from "../walk.ts";

const MAX_REFERENCES = 1_000;

/** Where a schema points: to the network, to nothing, or in a circle. */
export const references: Rule = {
  code: "schema_reference",
  check: ({ kind, definition }, report) => {
    if (kind !== "tool") return;
    for (const member of ["inputSchema", "outputSchema"])
      if (isDefinition(definition[member])) checkSchema(definition[member], member, report);
  },
};

interface Node {
  value: Readonly<Record<string, unknown>>;
  path: string;
}

function checkSchema(schema: Readonly<Record<string, unknown>>, member: string, report: Report): void {
  const found = nodesWithReference(schema, member);
  for (const { value, path } of found.slice(0, MAX_REFERENCES)) {
    const reference = String(value.$ref ?? value.$dynamicRef);
    if (!reference.startsWith("#")) {
      const isLocal = /^[\w./-]*(?:#.*)?$/.test(reference) && !reference.startsWith("//") && !reference.includes("..");
      const what = isLocal ? "a schema that is not here" : "an address, which is never fetched";
      report(isLocal ? "warning" : "danger", `it refers to ${what}: "${quoteBriefly(reference)}"`, path);
      continue;
    }
    const end = follow(schema, reference);
    if (end === "circle") report("danger", `"${quoteBriefly(reference)}" leads to itself and to nothing else`, path);
    else if (end === undefined) report("warning", `"${quoteBriefly(reference)}" leads nowhere`, path);
    // A tree is defined in this way: no fault, but clients that write references out never come to an end.
    else if (contains(end, value)) report("info", `"${quoteBriefly(reference)}" is defined by itself`, path);
  }
  if (found.length > MAX_REFERENCES) report("danger", `more than ${MAX_REFERENCES} references`, member);
}

function nodesWithReference(schema: object, member: string): Node[] {
  const found: Node[] = [];
  visit(schema, member, (value, path) => {
    if (typeof value.$ref === "string" || typeof value.$dynamicRef === "string") found.push({ value, path });
    return found.length <= MAX_REFERENCES;
  });
  return found;
}

/** All objects of a value, within the bounds of walk.ts; until `see` has seen enough. */
function visit(root: object, path: string, see: (value: Node["value"], path: string) => boolean): void {
  const waiting = [{ value: root as object, path, depth: 1 }];
  let nodes = 0;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (isDefinition(at.value) && !see(at.value, at.path)) return;
    if (at.depth > MAX_DEPTH) continue;
    for (const key in at.value) {
      if (++nodes > MAX_NODES) return;
      const value = (at.value as Record<string, unknown>)[key];
      if (typeof value !== "object" || value === null) continue;
      const path = at.path.length > 512 ? at.path : `${at.path}.${quoteBriefly(key, 64)}`;
      waiting.push({ value, path, depth: at.depth + 1 });
    }
  }
}

/** The schema that a reference leads to by way of others; "circle" when these come back, undefined when one leads nowhere. */
function follow(schema: object, reference: string): object | "circle" | undefined {
  const seen = new Set<string>();
  let next = reference;
  for (;;) {
    if (seen.has(next) || seen.size > MAX_REFERENCES) return "circle";
    seen.add(next);
    const target = resolve(schema, next);
    if (!isDefinition(target)) return typeof target === "boolean" ? {} : undefined;
    const keys = Object.keys(target).filter(
      (key) => !["description", "title", "$comment", "default", "examples"].includes(key),
    );
    if (keys.length !== 1 || typeof target.$ref !== "string" || !target.$ref.startsWith("#")) return target;
    next = target.$ref;
  }
}

/** RFC 6901 in a fragment; an anchor counts as found, since schemas that have one are rare and name what is inside. */
function resolve(schema: object, reference: string): unknown {
  if (reference === "#" || reference === "") return schema;
  if (!reference.startsWith("#/")) return findAnchor(schema, reference.slice(1));
  let at: unknown = schema;
  for (const part of reference
    .slice(2)
    .split("/")
    .slice(0, MAX_DEPTH * 2)) {
    const key = decode(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function findAnchor(schema: object, name: string): object | undefined {
  let found: object | undefined;
  visit(schema, "", (value) => {
    if (value.$anchor === name || value.$dynamicAnchor === name) found = value;
    return found === undefined;
  });
  return found;
}

function contains(whole: object, part: object): boolean {
  let isThere = false;
  visit(whole, "", (value) => {
    isThere ||= value === part;
    return !isThere;
  });
  return isThere;
}
