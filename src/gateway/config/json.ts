import { type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { type ConfigDocument, configError, formatKey, type KeyPath, LineIndex, MAX_CONFIG_LENGTH } from "./document.ts";

/** Reads JSON as editors write it: comments and trailing commas are fine. Throws CONFIG_INVALID with the line. */
export function readJson(given: string, file: string): ConfigDocument {
  const text = given.replace(/^\uFEFF/, "");
  if (text.length > MAX_CONFIG_LENGTH) throw configError({ file }, `it has more than ${MAX_CONFIG_LENGTH} characters`);
  const lineAt = createLineFinder(text);
  const errors: ParseError[] = [];
  let root: Node | undefined;
  const index = new LineIndex();
  try {
    root = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false });
    const [error] = errors;
    if (error !== undefined)
      throw configError({ file, line: lineAt(error.offset) }, `it is not JSON: ${wordsOf(error)}`);
    if (root === undefined) throw configError({ file, line: 1 }, "it is empty");
    const value = toValue(root, [], { file, lineAt, index });
    return { file, value, lineOf: (path) => index.lineOf(path) };
  } catch (error) {
    if (error instanceof RangeError) throw configError({ file }, "its values are nested too deeply");
    throw error;
  }
}

/** `CommaExpected` as `comma expected`. */
function wordsOf({ error }: ParseError): string {
  return printParseErrorCode(error)
    .replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`)
    .toLowerCase();
}

interface Walk {
  file: string;
  lineAt: (offset: number) => number;
  index: LineIndex;
}

function toValue(node: Node, path: KeyPath, walk: Walk): unknown {
  if (node.type === "array")
    return (node.children ?? []).map((child, place) => {
      walk.index.add([...path, place], walk.lineAt(child.offset));
      return toValue(child, [...path, place], walk);
    });
  if (node.type !== "object") return node.value;
  const value: Record<string, unknown> = Object.create(null);
  for (const property of node.children ?? []) {
    const [key, child] = property.children ?? [];
    if (key === undefined || child === undefined) continue;
    const name = String(key.value);
    const line = walk.lineAt(key.offset);
    if (Object.hasOwn(value, name))
      throw configError({ file: walk.file, line, key: formatKey([...path, name]) }, "it is there twice");
    walk.index.add([...path, name], line);
    value[name] = toValue(child, [...path, name], walk);
  }
  return value;
}

/** Offsets to lines, by halving. */
function createLineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
