import { type AgentEvent, MAX_COST_USD } from "../../contract/task-event.ts";

/**
 * What agents write is read as what a stranger has sent: each value is looked at before it is used, and has a bound. What is cut here is whole in the
 * raw line beside the event.
 */

/** Characters of one text of an event. */
export const MAX_TEXT = 256 * 1024;
/** Of ids and names. */
const MAX_NAME = 200;
/** Parts of a message, models of a usage. */
export const MAX_PARTS = 1_000;
const MAX_DEPTH = 16;
const MAX_VALUES = 10_000;
/** Entries of what a reader remembers; the oldest are forgotten. */
const MAX_REMEMBERED = 10_000;

export type Fields = Record<string, unknown>;

/** A line's object; undefined for one that is none, or no JSON. */
export function readFields(line: string): Fields | undefined {
  if (!/^\s*\{/.test(line)) return undefined;
  try {
    return fields(JSON.parse(line));
  } catch {
    return undefined;
  }
}

export function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** Own members alone: no file of an agent's gets at `constructor` or `__proto__`. */
export function member(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((at, key) => {
    const inner = fields(at);
    return inner !== undefined && Object.hasOwn(inner, key) ? inner[key] : undefined;
  }, value);
}

/** The objects of a list. */
export function list(value: unknown): Fields[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_PARTS).flatMap((part) => {
    const found = fields(part);
    return found === undefined ? [] : [found];
  });
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? cut(value) : undefined;
}

/** A text that says something. */
export function words(value: unknown): string | undefined {
  const said = text(value);
  return said === "" ? undefined : said;
}

/** An id or a name: short, and not empty. */
export function name(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? whole(value.slice(0, MAX_NAME)) : undefined;
}

/** A whole number from 0. */
export function count(value: unknown): number | undefined {
  const number = amount(value);
  return number === undefined ? undefined : Math.min(Math.floor(number), Number.MAX_SAFE_INTEGER);
}

/** A number from 0. */
export function amount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** US dollars. */
export function dollars(value: unknown): number | undefined {
  const number = amount(value);
  return number === undefined ? undefined : Math.min(number, MAX_COST_USD);
}

/** An exit code, an HTTP status. */
export function code(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
}

export function cut(value: string): string {
  if (value.length <= MAX_TEXT) return whole(value);
  return `${whole(value.slice(0, MAX_TEXT))}\n… ${value.length - MAX_TEXT} more characters are in the raw line`;
}

/** No half of a pair: written as UTF-8 it would be lost. */
const whole = (value: string) => value.toWellFormed();

/** The words of what a tool has answered: text, a list of parts, an object. */
export function said(value: unknown): string {
  if (typeof value === "string") return cut(value);
  if (Array.isArray(value)) {
    const parts = value
      .slice(0, MAX_PARTS)
      .map((part) => member(part, "text") ?? (typeof part === "string" ? part : ""));
    const known = parts.filter((part) => typeof part === "string" && part !== "");
    if (known.length > 0) return cut(known.join("\n"));
  }
  return value === undefined || value === null ? "" : cut(JSON.stringify(bounded(value)));
}

/** A copy that is neither deep nor large, of own members alone. */
export function bounded(value: unknown): unknown {
  let left = MAX_VALUES;
  let characters = MAX_TEXT;
  const copyText = (from: string) => {
    const taken = whole(from.slice(0, Math.max(0, characters)));
    characters -= taken.length;
    return taken.length < from.length ? `${taken}…` : taken;
  };
  const copy = (from: unknown, depth: number): unknown => {
    if (left-- <= 0) return "…";
    if (typeof from === "string") return copyText(from);
    if (typeof from !== "object" || from === null) return from ?? null;
    if (depth >= MAX_DEPTH) return "…";
    if (Array.isArray(from)) {
      const items: unknown[] = [];
      for (const item of from) {
        if (left <= 0) break;
        items.push(copy(item, depth + 1));
      }
      return items;
    }
    const members: [string, unknown][] = [];
    for (const key of Object.keys(from)) {
      if (left <= 0 || characters <= 0) break;
      // What has this name is a prototype to whoever assigns it.
      if (key === "__proto__") continue;
      characters -= key.length;
      members.push([whole(key.slice(0, MAX_NAME)), copy((from as Fields)[key], depth + 1)]);
    }
    return Object.fromEntries(members);
  };
  return copy(value, 0);
}

/** A line that is not the agent's own. */
export function outputOf(line: string): AgentEvent {
  return { type: "output", stream: "stdout", text: cut(line) };
}

/** A map that forgets its oldest entries. */
export class Memory<V> {
  readonly #limit: number;
  readonly #entries = new Map<string, V>();

  constructor(limit = MAX_REMEMBERED) {
    this.#limit = limit;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: V): void {
    if (!this.#entries.has(key) && this.#entries.size >= this.#limit) {
      const [oldest] = this.#entries.keys();
      this.#entries.delete(oldest as string);
    }
    this.#entries.set(key, value);
  }
}
