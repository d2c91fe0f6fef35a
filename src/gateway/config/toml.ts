import { createRequire } from "node:module";
import { parse, TomlError } from "smol-toml";
import type { AST } from "toml-eslint-parser";
import { type ConfigDocument, configError, type KeyPath, LineIndex, MAX_CONFIG_LENGTH } from "./document.ts";

/** Loaded with the first file that is wrong: a daemon whose files are right does without its memory. */
const loadParser = (): typeof import("toml-eslint-parser") => createRequire(import.meta.url)("toml-eslint-parser");

/** Reads TOML. Throws CONFIG_INVALID with the line. */
export function readToml(given: string, file: string): ConfigDocument {
  const text = given.replace(/^\uFEFF/, "");
  if (text.length > MAX_CONFIG_LENGTH) throw configError({ file }, `it has more than ${MAX_CONFIG_LENGTH} characters`);
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const line = error instanceof TomlError ? error.line : undefined;
    const [first = "it is not TOML"] = (error as Error).message.split("\n");
    throw configError({ file, line }, first);
  }
  let lines: LineIndex | undefined;
  return {
    file,
    value,
    // Only what is wrong is looked for: most files are right.
    lineOf: (path) => {
      lines ??= indexLines(text);
      return lines.lineOf(path);
    },
  };
}

/** smol-toml says where a value stands for syntax errors alone; this parser's tree has it for each. */
function indexLines(text: string): LineIndex {
  const index = new LineIndex();
  let body: AST.TOMLTopLevelTable["body"];
  try {
    [{ body }] = loadParser().parseTOML(text).body;
  } catch {
    // The two disagree about the file: the values hold, and there are no lines.
    return index;
  }
  for (const node of body) {
    if (node.type === "TOMLKeyValue") addPair(index, [], node);
    else {
      addPath(index, node.resolvedKey, node.key.loc.start.line);
      for (const pair of node.body) addPair(index, node.resolvedKey, pair);
    }
  }
  return index;
}

function addPair(index: LineIndex, above: KeyPath, { key, value }: AST.TOMLKeyValue): void {
  const path = [...above, ...key.keys.map((part) => (part.type === "TOMLBare" ? part.name : part.value))];
  addPath(index, path, key.loc.start.line);
  addValue(index, path, value);
}

function addValue(index: LineIndex, path: KeyPath, value: AST.TOMLContentNode): void {
  if (value.type === "TOMLInlineTable") for (const pair of value.body) addPair(index, path, pair);
  if (value.type !== "TOMLArray") return;
  for (const [place, element] of value.elements.entries()) {
    index.add([...path, place], element.loc.start.line);
    addValue(index, [...path, place], element);
  }
}

/** `a.b.c` makes a and a.b, too. */
function addPath(index: LineIndex, path: KeyPath, line: number): void {
  for (let length = 1; length <= path.length; length++) index.add(path.slice(0, length), line);
}
