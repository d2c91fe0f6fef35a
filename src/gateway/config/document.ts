import { FirebreakError } from "../../errors/firebreak-error.ts";

/** The keys that lead to a value, from the top; numbers are places in arrays. */
export type KeyPath = readonly (string | number)[];

/** A configuration file whose values are known by their lines. */
export interface ConfigDocument {
  file: string;
  /** Members of objects are own properties; no object has a prototype that a file could name. */
  value: unknown;
  /** 1-based: where the value's key stands, or the nearest key above it that stands anywhere. */
  lineOf(path: KeyPath): number;
  /** What the file itself calls the value, where its paths are made of other names. */
  nameOf?(path: KeyPath): KeyPath;
}

/** A larger one is no configuration, characters. */
export const MAX_CONFIG_LENGTH = 1024 * 1024;

/** CONFIG_INVALID: `firebreak.toml:12: servers.web.memory: it is …`; file, line and key are in its details, too. */
export function configError(
  { file, line, key }: { file: string; line?: number | undefined; key?: string | undefined },
  why: string,
): FirebreakError {
  const place = line === undefined ? file : `${file}:${line}`;
  return new FirebreakError("CONFIG_INVALID", `${place}: ${key ? `${key}: ` : ""}${why}`, {
    hint: "Correct the file; it is read anew each time.",
    details: { file, ...(line === undefined ? {} : { line }), ...(key ? { key } : {}) },
  });
}

/** A value's keys as they would be written: `servers.web.env."a b"`, `allowed_paths[1]`. */
export function formatKey(path: KeyPath): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const text = /^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part);
      return index === 0 ? text : `.${text}`;
    })
    .join("");
}

export function errorAt(document: ConfigDocument, path: KeyPath, why: string): FirebreakError {
  return configError(
    { file: document.file, line: document.lineOf(path), key: formatKey(document.nameOf?.(path) ?? path) },
    why,
  );
}

/** Lines by path, for `lineOf`: what is not there itself has the line of the nearest above it. */
export class LineIndex {
  readonly #lines = new Map<string, number>();

  /** The first one counts: tables that others imply stand where they are first named. */
  add(path: KeyPath, line: number): void {
    const key = JSON.stringify(path);
    if (!this.#lines.has(key)) this.#lines.set(key, line);
  }

  lineOf(path: KeyPath): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(JSON.stringify(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  }
}

export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
