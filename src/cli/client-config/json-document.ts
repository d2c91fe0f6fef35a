import { isDeepStrictEqual } from "node:util";
import { createScanner, getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { invalidConfig } from "./client.ts";

/** Changes to JSON with comments and trailing commas, as text: what is not changed stays as it was, byte for byte. */

interface Edit {
  start: number;
  end: number;
  text: string;
}

/** Numeric values of jsonc-parser's const enum SyntaxKind, which type stripping cannot take from its declarations. */
const COMMA = 5;
const LINE_COMMENT = 12;
const BLOCK_COMMENT = 13;
const LINE_BREAK = 14;
const BLANKS = 15;

const BOM = "\uFEFF";

/** The value at a path; undefined where there is none. Of equal keys the last counts, as for JSON.parse. Throws CLIENT_CONFIG_INVALID. */
export function readJson(text: string, path: readonly string[]): unknown {
  let node = parse(text);
  for (const key of path) node = node === undefined ? undefined : memberOf(lastProperty(node, key));
  return node === undefined ? undefined : toPlain(getNodeValue(node));
}

/** Sets the value at a path, with the objects on the way to it. Throws CLIENT_CONFIG_INVALID, also where something else is in an object's place. */
export function setJson(text: string, path: readonly string[], value: unknown): string {
  const root = parse(text);
  if (root === undefined) {
    const eol = endOfLine(text);
    const before = text === "" || text === BOM || text.endsWith("\n") ? text : `${text}${eol}`;
    return `${before}${format(nest(path, value), "", "  ", eol)}${eol}`;
  }
  let node = root;
  for (const [index, key] of path.entries()) {
    requireObject(text, node);
    const there = memberOf(lastProperty(node, key));
    if (there === undefined) return insertProperty(text, node, key, nest(path.slice(index + 1), value));
    node = there;
  }
  if (isDeepStrictEqual(toPlain(getNodeValue(node)), toPlain(value))) return text;
  const fresh = isOneLine(text, root)
    ? JSON.stringify(value)
    : format(value, indentAt(text, node.offset), indentUnit(text), endOfLine(text));
  return apply(text, [{ start: node.offset, end: node.offset + node.length, text: fresh }]);
}

/** Takes the property at a path out, as often as it is there, with a comment behind it on its line. */
export function removeJson(text: string, path: readonly string[]): string {
  const key = path.at(-1) as string;
  for (let rest = text; ; ) {
    let node = parse(rest);
    for (const part of path.slice(0, -1)) node = node === undefined ? undefined : memberOf(lastProperty(node, part));
    const property = node === undefined ? undefined : lastProperty(node, key);
    if (node === undefined || property === undefined) return rest;
    rest = removeChild(rest, node, property);
  }
}

/** Adds a value to the array at a path, which is made where there is none. */
export function appendJson(text: string, path: readonly string[], value: unknown): string {
  const node = nodeAt(text, path);
  if (node === undefined) return setJson(text, path, [value]);
  if (node.type !== "array") throw misplaced(text, node, "an array");
  return insertChild(text, node, value, "");
}

/** Takes those elements out of the array at a path that `isMeant` says; the array stays. */
export function removeElements(text: string, path: readonly string[], isMeant: (value: unknown) => boolean): string {
  for (let rest = text; ; ) {
    const node = nodeAt(rest, path);
    const element =
      node?.type === "array" ? node.children?.find((child) => isMeant(toPlain(getNodeValue(child)))) : undefined;
    if (node === undefined || element === undefined) return rest;
    rest = removeChild(rest, node, element);
  }
}

function nodeAt(text: string, path: readonly string[]): Node | undefined {
  let node = parse(text);
  for (const key of path) node = node === undefined ? undefined : memberOf(lastProperty(node, key));
  return node;
}

/** The document's value; undefined where it is empty but for blanks and comments. */
function parse(text: string): Node | undefined {
  const errors: ParseError[] = [];
  // A byte order mark is a blank here, so that offsets stay those of the text.
  const root = parseTree(text.startsWith(BOM) ? ` ${text.slice(1)}` : text, errors, {
    allowTrailingComma: true,
    allowEmptyContent: true,
  });
  const [error] = errors;
  if (error !== undefined) throw fail(text, error.offset, `not valid JSON (${printParseErrorCode(error.error)})`);
  if (root !== undefined) requireObject(text, root);
  return root;
}

function requireObject(text: string, node: Node): void {
  if (node.type !== "object") throw misplaced(text, node, "an object");
}

function misplaced(text: string, node: Node, wanted: string): Error {
  return fail(
    text,
    node.offset,
    `${wanted} belongs here, and there is ${node.type === "null" ? "null" : `a ${node.type}`}`,
  );
}

function fail(text: string, offset: number, what: string): Error {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  return invalidConfig(what, before.length, (before.at(-1) as string).length + 1);
}

function lastProperty(node: Node, key: string): Node | undefined {
  return node.type === "object" ? node.children?.findLast((child) => child.children?.[0]?.value === key) : undefined;
}

function memberOf(property: Node | undefined): Node | undefined {
  return property?.children?.[1];
}

function nest(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
}

function insertProperty(text: string, object: Node, key: string, value: unknown): string {
  return insertChild(text, object, value, `${JSON.stringify(key)}: `);
}

/** Adds a child behind the last one of an object or array, in the style that it has. */
function insertChild(text: string, parent: Node, value: unknown, prefix: string): string {
  const end = parent.offset + parent.length;
  const eol = endOfLine(text);
  const children = parent.children ?? [];
  const outer = indentAt(text, parent.offset);
  const last = children.at(-1);
  if (last === undefined) {
    const inner = text.slice(parent.offset + 1, end - 1);
    if (inner.trim() === "" && text.trim() !== "{}" && !/[\r\n]/.test(text.trim())) {
      return apply(text, [{ start: parent.offset + 1, end: end - 1, text: `${prefix}${JSON.stringify(value)}` }]);
    }
    const unit = indentUnit(text);
    const fresh = `${eol}${outer}${unit}${prefix}${format(value, outer + unit, unit, eol)}${eol}${outer}`;
    // Comments of an object without members stay above its first.
    return apply(text, [{ start: parent.offset + 1 + inner.trimEnd().length, end: end - 1, text: fresh }]);
  }
  const valueEnd = last.offset + last.length;
  const { commaEnd, lineEnd } = scanBehind(text, valueEnd, end - 1);
  const missing = commaEnd === undefined ? [{ start: valueEnd, end: valueEnd, text: "," }] : [];
  const comma = commaEnd === undefined ? "" : ",";
  if (!/[\r\n]/.test(text.slice(parent.offset, last.offset))) {
    // All in one line, or begun in one: what follows a comment to the end of the line would belong to it.
    const needsLine = text.slice(valueEnd, lineEnd).includes("//");
    const gap = needsLine ? `${eol}${outer}` : " ";
    const fresh = `${gap}${prefix}${JSON.stringify(value)}${comma}`;
    return apply(text, [...missing, { start: lineEnd, end: lineEnd, text: fresh }]);
  }
  const indent = indentAt(text, last.offset);
  const fresh = `${eol}${indent}${prefix}${format(value, indent, indentUnit(text), eol)}${comma}`;
  return apply(text, [...missing, { start: lineEnd, end: lineEnd, text: fresh }]);
}

/** What follows a child: a comma, and comments on the line that the child (or the comma) ends on. */
function scanBehind(text: string, from: number, limit: number): { commaEnd: number | undefined; lineEnd: number } {
  const tokens = tokensBetween(text, from, limit);
  const comma = tokens.find(({ kind }) => kind === COMMA);
  let lineEnd = comma?.end ?? from;
  for (const { kind, start, end } of tokens) {
    if (start < lineEnd) continue;
    if (kind === LINE_COMMENT || (kind === BLOCK_COMMENT && !/[\r\n]/.test(text.slice(start, end)))) lineEnd = end;
    else if (kind !== BLANKS) break;
  }
  return { commaEnd: comma?.end, lineEnd };
}

interface Token {
  kind: number;
  start: number;
  end: number;
}

/** Tokens from a child's end to the next one's start; a comma is the only one with a meaning there. */
function tokensBetween(text: string, from: number, limit: number): Token[] {
  const scanner = createScanner(text.slice(from, limit), false);
  const tokens: Token[] = [];
  const wanted = new Set([COMMA, LINE_COMMENT, BLOCK_COMMENT, LINE_BREAK, BLANKS]);
  for (let kind: number = scanner.scan(); wanted.has(kind); kind = scanner.scan()) {
    const start = from + scanner.getTokenOffset();
    tokens.push({ kind, start, end: start + scanner.getTokenLength() });
  }
  return tokens;
}

function removeChild(text: string, parent: Node, child: Node): string {
  const limit = parent.offset + parent.length - 1;
  const children = parent.children ?? [];
  const before = children[children.indexOf(child) - 1];
  let start = child.offset;
  const { commaEnd, lineEnd } = scanBehind(text, child.offset + child.length, limit);
  const edits: Edit[] = [];
  if (commaEnd === undefined && before !== undefined) {
    const beforeEnd = before.offset + before.length;
    const comma = tokensBetween(text, beforeEnd, start).find(({ kind }) => kind === COMMA) as Token;
    edits.push({ ...comma, text: "" });
  }
  const lineStart = startOfLine(text, start);
  const startsLine = text.slice(lineStart, start).trim() === "";
  const newline = /^[ \t]*(\r\n|\n|\r)/.exec(text.slice(lineEnd));
  let end = lineEnd;
  if (startsLine && newline !== null) {
    start = lineStart;
    end += newline[0].length;
  } else if (startsLine) end += blanksAt(text, end);
  else if (before === undefined) end += blanksAt(text, end);
  else start -= /[ \t]*$/.exec(text.slice(0, start))?.[0].length ?? 0;
  const removed = apply(text, [...edits, { start, end, text: "" }]);
  // An object whose only member is gone is empty, as long as nobody has written anything in it.
  if (
    children.length > 1 ||
    text.slice(parent.offset + 1, child.offset).trim() !== "" ||
    text.slice(end, limit).trim() !== ""
  )
    return removed;
  return apply(text, [{ start: parent.offset + 1, end: limit, text: "" }]);
}

function blanksAt(text: string, offset: number): number {
  return /^[ \t]*/.exec(text.slice(offset))?.[0].length ?? 0;
}

/** Edits that do not overlap, the last first. */
function apply(text: string, edits: Edit[]): string {
  let changed = text;
  // Of two at the same place the later one in the list goes behind.
  for (const { start, end, text: fresh } of [...edits].reverse().sort((a, b) => b.start - a.start))
    changed = changed.slice(0, start) + fresh + changed.slice(end);
  return changed;
}

function format(value: unknown, indent: string, unit: string, eol: string): string {
  return JSON.stringify(value, null, unit).replaceAll("\n", `${eol}${indent}`);
}

function isOneLine(text: string, root: Node): boolean {
  const own = text.slice(root.offset, root.offset + root.length);
  return root.length > 2 && !/[\r\n]/.test(own);
}

function startOfLine(text: string, offset: number): number {
  return Math.max(text.lastIndexOf("\n", offset - 1), text.lastIndexOf("\r", offset - 1)) + 1;
}

/** The blanks that the line of an offset begins with. */
function indentAt(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(startOfLine(text, offset)))?.[0] ?? "";
}

/** What one level is indented by: the shallowest indentation there is. */
function indentUnit(text: string): string {
  const indents = [...text.matchAll(/^([ \t]+)["}\]]/gm)].map((match) => match[1] as string);
  return indents.reduce((least, indent) => (indent.length < least.length ? indent : least), indents[0] ?? "  ");
}

function endOfLine(text: string): string {
  return /\r\n|\n/.exec(text)?.[0] ?? "\n";
}

/** jsonc-parser's objects have no prototype, which makes them unequal to literals. */
function toPlain(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}
