import { createHash } from "node:crypto";
import type { ServerTools } from "../contract/server.ts";

/** What model APIs take for a tool's name, the client's own prefix with it. */
const MAX_NAME = 64;
/** `mcp__firebreak__`, the longest prefix in use (docs/gateway.md). */
const PREFIX = 16;
const MAX_OWN = MAX_NAME - PREFIX;
const HASH_LENGTH = 6;

/** Between a server's name and its tool's. */
const SEPARATOR = "__";

/** Whether a tool may be offered at all. */
export function isAllowed(tool: string, { allow, deny }: ServerTools): boolean {
  if (deny?.some((pattern) => matches(pattern, tool)) === true) return false;
  return allow === undefined || allow.some((pattern) => matches(pattern, tool));
}

/**
 * Names at an endpoint, for tools in the order in which their server lists them. At the endpoint of one server they are its own; at that of all, `server__tool`: what
 * no model API takes is replaced, what is too long ends with a hash of the whole, and so does the later one of two that would be the same. The same tools
 * have the same names every time.
 */
export function nameTools(
  server: string,
  tools: readonly string[],
  rules: ServerTools,
  isPrefixed: boolean,
): Map<string, string> {
  const names = new Map<string, string>();
  for (const tool of tools) {
    if (!isAllowed(tool, rules)) continue;
    const wanted = rules.rename?.[tool] ?? tool;
    const name = isPrefixed ? fit(`${server}${SEPARATOR}${wanted}`, tool) : wanted;
    names.set(names.has(name) ? withHash(name, tool, isPrefixed ? MAX_OWN : 128) : name, tool);
  }
  return names;
}

function fit(name: string, tool: string): string {
  const usable = name.replace(/[^A-Za-z0-9_-]/g, "_");
  return usable === name && name.length <= MAX_OWN ? name : withHash(usable, tool, MAX_OWN);
}

function withHash(name: string, tool: string, maxLength: number): string {
  const hash = createHash("sha256").update(tool).digest("hex").slice(0, HASH_LENGTH);
  return `${name.slice(0, maxLength - HASH_LENGTH - 1)}_${hash}`;
}

function matches(pattern: string, tool: string): boolean {
  if (!pattern.includes("*")) return pattern === tool;
  // Pieces in order, the ends fixed: no backtracking, whatever the pattern.
  const pieces = pattern.split("*");
  const [head = ""] = pieces;
  const tail = pieces.at(-1) ?? "";
  if (!tool.startsWith(head) || !tool.endsWith(tail) || tool.length < head.length + tail.length) return false;
  let at = head.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = tool.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= tool.length - tail.length;
}
