import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { WorkspaceReport } from "../contract/workspace.ts";
import type { Operation } from "./operations.ts";
import { Staging } from "./staging.ts";
import { emptyFolder, flatten, type TreeFolder, unflatten } from "./tree.ts";

/** A sync to the host that has been decided: what a daemon that dies leaves to the next one. */
export interface Journal {
  directory: string;
  operations: Operation[];
  /** What is common once all has been done. */
  base: ReturnType<typeof flatten>;
  /** What was common before, for paths that somebody else has changed meanwhile. */
  oldBase: ReturnType<typeof flatten>;
  report: WorkspaceReport;
  /** Nothing of the VM's comes after it. */
  isFinal: boolean;
}

/** The files of one workspace: what was common at the last sync, and what is on its way to the host. */
export class WorkspaceFiles {
  readonly #folder: string;
  readonly staging: Staging;

  constructor(folder: string) {
    this.#folder = folder;
    this.staging = new Staging(path.join(folder, "incoming"));
  }

  async readBase(): Promise<TreeFolder> {
    const base = await this.#read<ReturnType<typeof flatten>>("base.json");
    return base === undefined ? emptyFolder() : unflatten(base);
  }

  writeBase(base: TreeFolder): Promise<void> {
    return this.#write("base.json", flatten(base));
  }

  readJournal(): Promise<Journal | undefined> {
    return this.#read<Journal>("journal.json");
  }

  writeJournal(journal: Journal): Promise<void> {
    return this.#write("journal.json", journal);
  }

  /** What was on its way has arrived, or is given up. */
  async clear(): Promise<void> {
    await rm(path.join(this.#folder, "journal.json"), { force: true });
    await this.staging.remove();
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #read<T>(name: string): Promise<T | undefined> {
    try {
      return JSON.parse(await readFile(path.join(this.#folder, name), "utf8")) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async #write(name: string, value: unknown): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = path.join(this.#folder, name);
    await writeFile(`${file}.new`, JSON.stringify(value), { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
  }
}
