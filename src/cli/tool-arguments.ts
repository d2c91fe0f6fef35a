import { FirebreakError } from "../errors/firebreak-error.ts";
import { findNearest } from "../errors/nearest.ts";

/** Of a tool's input schema, what its arguments are read by. */
export interface ToolSchema {
  properties?: Record<string, unknown> | undefined;
  required?: readonly string[] | undefined;
}

/**
 * A tool's arguments as a command line has them: one JSON object, or NAME=VALUE each, where a value is text if the tool takes text there, and JSON otherwise.
 * Throws INVALID_ARGUMENT for a name that the tool does not have.
 */
export function readToolArguments(
  words: readonly string[],
  { properties = {}, required = [] }: ToolSchema,
): Record<string, unknown> {
  const [first = ""] = words;
  const given =
    first.trimStart().startsWith("{") && words.length === 1 ? readObject(first) : readPairs(words, properties);
  const names = Object.keys(properties);
  const missing = required.filter((name) => !Object.hasOwn(given, name));
  if (missing.length > 0)
    throw new FirebreakError("INVALID_ARGUMENT", `the tool wants ${missing.map((name) => `'${name}'`).join(" and ")}`, {
      hint: `Give it as ${missing[0]}=VALUE, or all of them as a JSON object. It takes ${names.join(", ")}.`,
    });
  return given;
}

function readPairs(words: readonly string[], properties: Record<string, unknown>): Record<string, unknown> {
  const pairs = words.map((word): [string, unknown] => {
    const [, name, value = ""] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name === undefined)
      throw new FirebreakError("INVALID_ARGUMENT", `'${word}' is neither NAME=VALUE nor a JSON object`);
    if (!Object.hasOwn(properties, name)) {
      const nearest = findNearest(name, Object.keys(properties));
      throw new FirebreakError("INVALID_ARGUMENT", `the tool has no argument '${name}'`, {
        hint:
          nearest === undefined
            ? `It takes ${Object.keys(properties).join(", ") || "none"}.`
            : `Did you mean '${nearest}'?`,
      });
    }
    return [name, readValue(name, value, properties[name])];
  });
  return Object.fromEntries(pairs);
}

function readValue(name: string, text: string, schema: unknown): unknown {
  const { type } = (schema ?? {}) as { type?: unknown };
  const types = Array.isArray(type) ? type : [type];
  if (types.includes("string")) return text;
  try {
    return JSON.parse(text);
  } catch {
    // Where the schema does not say, a word is a word.
    if (types.every((each) => each === undefined)) return text;
    throw new FirebreakError("INVALID_ARGUMENT", `'${name}' is ${types.join(" or ")}, as JSON: '${text}' is none`);
  }
}

function readObject(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new FirebreakError("INVALID_ARGUMENT", `the arguments are no JSON object: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** One line that says how a tool is called: its name, and its arguments, those that it can do without in brackets. */
export function describeCall(name: string, { properties = {}, required = [] }: ToolSchema): string {
  const words = Object.entries(properties).map(([key, schema]) => {
    const { type } = (schema ?? {}) as { type?: unknown };
    const word = `${key}=${typeof type === "string" ? type.toUpperCase() : "VALUE"}`;
    return required.includes(key) ? word : `[${word}]`;
  });
  return [name, ...words].join(" ");
}
