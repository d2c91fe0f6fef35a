import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { DefinitionKind } from "../../contract/scan.ts";
import { writeAtomic } from "../../platform/write-atomic.ts";
import { type Definition, isDefinition } from "../scan/definitions.ts";
import { textOfDefinition } from "./definition-hash.ts";
import type { Lock } from "./lock.ts";

const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Definitions that have been approved, whole, in files that are named by their hashes: a diff needs the one from before. Beside the lock, so that
 * this stays a line for each; one that is not here (the lock came from another host) is missing in the diff and in nothing else.
 */
export class DefinitionStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Keeps a definition and returns its hash. Throws SERVER_DEFINITION_INVALID. */
  async keep(kind: DefinitionKind, definition: unknown): Promise<string> {
    const text = textOfDefinition(kind, definition);
    const digest = digestOf(text);
    if ((await this.get(`sha256:${digest}`)) === undefined) {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeAtomic(this.#place(digest), text, 0o600);
    }
    return `sha256:${digest}`;
  }

  /** Undefined when it has not been kept, or is not what it was. */
  async get(hash: string): Promise<Definition | undefined> {
    const digest = /^sha256:([0-9a-f]{64})$/.exec(hash)?.[1];
    if (digest === undefined) return undefined;
    try {
      const file = this.#place(digest);
      if ((await stat(file)).size > MAX_BYTES) return undefined;
      const text = await readFile(file, "utf8");
      const value: unknown = digestOf(text) === digest ? JSON.parse(text) : undefined;
      return isDefinition(value) ? value : undefined;
    } catch {
      return undefined;
    }
  }

  /** For `compareWithLock`: those of one server's that are here, read once. */
  async lookup(lock: Lock, server: string): Promise<(hash: string) => Definition | undefined> {
    const found = new Map<string, Definition>();
    for (const definitions of Object.values(lock.get(server)?.definitions ?? {}))
      for (const hash of definitions.values()) {
        const definition = await this.get(hash);
        if (definition !== undefined) found.set(hash, definition);
      }
    return (hash) => found.get(hash);
  }

  /** Removes what no lock of these names any more. */
  async sweep(locks: readonly Lock[]): Promise<void> {
    const servers = locks.flatMap((lock) => [...lock.values()]);
    const wanted = new Set(
      servers.flatMap(({ definitions }) => Object.values(definitions).flatMap((each) => [...each.values()])),
    );
    for (const name of await readdir(this.#folder).catch(() => []))
      if (!wanted.has(`sha256:${path.basename(name, ".json")}`))
        await rm(path.join(this.#folder, name), { force: true });
  }

  #place(digest: string): string {
    return path.join(this.#folder, `${digest}.json`);
  }
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
