import { isDeepStrictEqual } from "node:util";
import { parse, TomlError } from "smol-toml";
import { invalidConfig, type JsonObject } from "./client.ts";

/** Changes to the tables of a TOML document, as text: what is not changed stays as it was, byte for byte. */

type TomlValue = string | string[] | Record<string, string>;

/** One `key = value` (on however many lines), header, comment or blank line. */
interface Statement {
  kind: "header" | "pair" | "other";
  start: number;
  /** Behind the line break. */
  end: number;
  /** Where the header or the value ends; behind it are blanks, a comment and the line break. */
  contentEnd: number;
  /** Of a header all words, of a pair those of its key; empty for others, and for `[[headers]]` ends in `[]`. */
  path: string[];
}

interface Section {
  path: string[];
  header: Statement | undefined;
  statements: Statement[];
}

/** The document as data. Throws CLIENT_CONFIG_INVALID. */
export function readToml(text: string): JsonObject {
  try {
    return toPlain(parse(text.replace(/^\uFEFF/, " "), { integersAsBigInt: "asNeeded" })) as JsonObject;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "");
    throw invalidConfig(`not valid TOML (${what})`, error.line, error.column);
  }
}

/** Adds a table at the end. */
export function appendTable(text: string, path: readonly string[], values: Record<string, TomlValue>): string {
  const eol = endOfLine(text);
  const ended = text === "" || text.endsWith("\n") ? text : `${text}${eol}`;
  const gap = ended === "" ? "" : eol;
  const pairs = Object.entries(values).map(([key, value]) => `${writeKey(key)} = ${writeValue(value)}${eol}`);
  return `${ended}${gap}[${path.map(writeKey).join(".")}]${eol}${pairs.join("")}`;
}

export function hasTable(text: string, path: readonly string[]): boolean {
  return findSection(text, path) !== undefined;
}

/** Sets a key of a table that has a header; a comment behind the old value stays. */
export function setKey(text: string, table: readonly string[], key: string, value: TomlValue): string {
  const section = findSection(text, table);
  if (section?.header === undefined) return text;
  const pair = section.statements.find(({ kind, path }) => kind === "pair" && isDeepStrictEqual(path, [key]));
  if (pair !== undefined && isDeepStrictEqual(readToml(text.slice(pair.start, pair.contentEnd))[key], value))
    return text;
  const fresh = `${writeKey(key)} = ${writeValue(value)}`;
  if (pair !== undefined) {
    const indent = /^[ \t]*/.exec(text.slice(pair.start))?.[0] ?? "";
    return `${text.slice(0, pair.start)}${indent}${fresh}${text.slice(pair.contentEnd)}`;
  }
  const last = section.statements.findLast(({ kind }) => kind === "pair") ?? section.header;
  const eol = endOfLine(text);
  const head = text.slice(0, last.end);
  return `${head}${head.endsWith("\n") ? "" : eol}${fresh}${eol}${text.slice(last.end)}`;
}

/** Takes a key out of a table that has a header, with the comment behind it. */
export function removeKey(text: string, table: readonly string[], key: string): string {
  const section = findSection(text, table);
  const pair = section?.statements.find(({ kind, path }) => kind === "pair" && isDeepStrictEqual(path, [key]));
  return pair === undefined ? text : text.slice(0, pair.start) + text.slice(pair.end);
}

/** Takes a table and those below it out. Comments above their headers, and below their last values, stay. */
export function removeTables(text: string, path: readonly string[]): string {
  for (let rest = text; ; ) {
    const sections = split(rest);
    const index = sections.findIndex(
      (section) => section.header !== undefined && isDeepStrictEqual(section.path.slice(0, path.length), [...path]),
    );
    const section = sections[index];
    if (section?.header === undefined) return rest;
    let { start } = section.header;
    let { end } = section.statements.findLast(({ kind }) => kind === "pair") ?? section.header;
    const blankBefore = /(?:^|\n)([ \t]*\r?\n)$/.exec(rest.slice(0, start));
    // The blank line between it and its neighbour goes along.
    const blankBehind = /^[ \t]*\r?\n/.exec(rest.slice(end))?.[0].length ?? 0;
    if (blankBefore !== null && (blankBehind > 0 || end === rest.length)) start -= (blankBefore[1] as string).length;
    else if (rest.slice(0, start).trim() === "") end += blankBehind;
    rest = rest.slice(0, start) + rest.slice(end);
  }
}

/** The line, from 1, that first says something of a path, in whatever form; 1 where none does. */
export function lineOf(text: string, path: readonly string[]): number {
  for (const { path: table, header, statements } of split(text)) {
    const said = statements.map(({ path: key, start }) => ({ words: key.length > 0 ? [...table, ...key] : [], start }));
    if (header !== undefined) said.unshift({ words: table, start: header.start });
    // `mcp_servers = { … }` says something of what is in it, the header [mcp_servers] does not.
    const first = said.find(
      ({ words, start }) =>
        words.length > 0 &&
        (words.length >= path.length || start !== header?.start) &&
        words.every((word, at) => at >= path.length || word === path[at]),
    );
    if (first !== undefined) return text.slice(0, first.start).split("\n").length;
  }
  return 1;
}

function findSection(text: string, path: readonly string[]): Section | undefined {
  return split(text).find((section) => section.header !== undefined && isDeepStrictEqual(section.path, [...path]));
}

/** A valid document by its headers. */
function split(text: string): Section[] {
  const sections: Section[] = [{ path: [], header: undefined, statements: [] }];
  for (let at = text.startsWith("\uFEFF") ? 1 : 0; at < text.length; ) {
    const statement = scanStatement(text, at);
    if (statement.kind === "header") sections.push({ path: statement.path, header: statement, statements: [] });
    else sections.at(-1)?.statements.push(statement);
    at = statement.end;
  }
  return sections;
}

function scanStatement(text: string, start: number): Statement {
  let at = start;
  while (text[at] === " " || text[at] === "\t") at++;
  const first = text[at];
  const kind = first === "[" ? "header" : first === undefined || "#\r\n".includes(first) ? "other" : "pair";
  const begin = at;
  let depth = 0;
  let contentEnd = at;
  let equals = -1;
  while (at < text.length) {
    const char = text[at] as string;
    if (char === "\n" && depth === 0) break;
    if (char === "#") {
      const end = text.indexOf("\n", at);
      at = end === -1 ? text.length : end;
      continue;
    }
    if (char === '"' || char === "'") at = endOfString(text, at);
    else {
      if (char === "[" || char === "{") depth++;
      if (char === "]" || char === "}") depth--;
      if (char === "=" && equals === -1) equals = at;
      at++;
    }
    if (!/\s/.test(char)) contentEnd = at;
  }
  const end = at < text.length ? at + 1 : at;
  const source = kind === "header" ? text.slice(begin, contentEnd) : `${text.slice(begin, equals)}= 0`;
  return { kind, start, end, contentEnd, path: kind === "other" ? [] : wordsOf(source) };
}

/** Behind the closing quote of a string that begins at `start`. */
function endOfString(text: string, start: number): number {
  const quote = text[start] as string;
  const isLong = text.startsWith(quote.repeat(3), start);
  const close = isLong ? quote.repeat(3) : quote;
  let at = start + close.length;
  while (at < text.length && !text.startsWith(close, at)) at += quote === '"' && text[at] === "\\" ? 2 : 1;
  at += close.length;
  // Up to two quotes may stand before the three that close.
  while (isLong && text[at] === quote) at++;
  return at;
}

/** The words of `[a.b]`, `[[a.b]]` or `a.b = 0`. */
function wordsOf(source: string): string[] {
  const words: string[] = [];
  for (let at: unknown = parse(source); typeof at === "object" && at !== null; ) {
    if (Array.isArray(at)) return [...words, "[]"];
    const key = Object.keys(at)[0];
    if (key === undefined) return words;
    words.push(key);
    at = (at as JsonObject)[key];
  }
  return words;
}

function writeKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : writeString(key);
}

function writeValue(value: TomlValue): string {
  if (typeof value === "string") return writeString(value);
  if (Array.isArray(value)) return `[${value.map(writeString).join(", ")}]`;
  return `{ ${Object.entries(value)
    .map(([key, member]) => `${writeKey(key)} = ${writeString(member)}`)
    .join(", ")} }`;
}

/** A basic string escapes what JSON does, and DEL. */
function writeString(value: string): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

function endOfLine(text: string): string {
  return /\r\n|\n/.exec(text)?.[0] ?? "\n";
}

/** smol-toml's tables have no prototype, which makes them unequal to literals. */
function toPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toPlain(member)]));
}
