import type { ClientEntry } from "./client-file.ts";
import type { ConvertedServer } from "./conversion.ts";
import { type ConfigDocument, formatKey, type KeyPath } from "./document.ts";
import type { ConfigWarning } from "./layers.ts";

/** What there is to say of a server's table while it is made, and where in the client's file each key of it comes from. */
export class TableReport {
  readonly warnings: ConfigWarning[] = [];
  readonly notes: ConvertedServer["notes"] = [];
  readonly #entry: ClientEntry;
  readonly #origins = new Map<string, { path: KeyPath; isWhole: boolean }>();

  constructor(entry: ClientEntry) {
    this.#entry = entry;
  }

  /** `isWhole`: what is below the table's key stands below the file's, too. */
  setOrigin(key: string, origin: { path: KeyPath; isWhole: boolean }): void {
    this.#origins.set(key, origin);
  }

  hasOrigin(key: string): boolean {
    return this.#origins.has(key);
  }

  warn(key: KeyPath, message: string): void {
    const { document, path: at } = this.#entry;
    const whole = [...at, ...key];
    this.warnings.push({ line: document.lineOf(whole), key: formatKey(document.nameOf?.(whole) ?? whole), message });
  }

  note(key: string, text: string): void {
    this.notes.push({ key, text });
  }

  /** Paths of the table (`servers.NAME.…`) as the file has them. */
  document(): ConfigDocument {
    const { document, path: at } = this.#entry;
    const nameOf = ([, , key, ...rest]: KeyPath): KeyPath => {
      if (key === undefined) return at;
      const origin = this.#origins.get(String(key));
      if (origin === undefined) return [...at, key, ...rest];
      return [...at, ...origin.path, ...(origin.isWhole ? rest : [])];
    };
    const fileNameOf = (whole: KeyPath) => document.nameOf?.(nameOf(whole)) ?? nameOf(whole);
    const lineOf = (whole: KeyPath) => document.lineOf(nameOf(whole));
    return { file: document.file, value: document.value, nameOf: fileNameOf, lineOf };
  }
}
