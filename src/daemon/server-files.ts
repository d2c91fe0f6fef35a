import { type StatsListener, unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { ReadContext } from "../gateway/config/read.ts";
import type { Gateway } from "../gateway/service.ts";

/** A file is looked at so often, ms: editors replace files, which a watch of the file itself does not survive. */
const LOOK_MS = 1_000;

export interface ServerFilesOptions {
  gateway: Gateway;
  sets: () => ReadContext["sets"];
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The files that MCP servers come from: what changes in one is changed. One that is gone, or wrong, changes nothing until it is whole again. */
export class ServerFiles {
  readonly #options: ServerFilesOptions;
  readonly #watched = new Map<string, StatsListener>();

  constructor(options: ServerFilesOptions) {
    this.#options = options;
  }

  /** Watches the files that servers come from now, and no others. */
  follow(): void {
    const sources = new Set(this.#options.gateway.list().map(({ source }) => source));
    for (const [file, listener] of this.#watched)
      if (!sources.has(file)) {
        unwatchFile(file, listener);
        this.#watched.delete(file);
      }
    for (const file of sources) {
      if (this.#watched.has(file) || !path.isAbsolute(file)) continue;
      const listener: StatsListener = (now, before) => {
        if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) void this.#reload(file);
      };
      watchFile(file, { interval: LOOK_MS, persistent: false }, listener);
      this.#watched.set(file, listener);
    }
  }

  close(): void {
    for (const [file, listener] of this.#watched) unwatchFile(file, listener);
    this.#watched.clear();
  }

  async #reload(file: string): Promise<void> {
    const { gateway, sets, log } = this.#options;
    try {
      const { readServersFile } = await import("../gateway/config/read.ts");
      const known = sets();
      const workspace = gateway.workspaceOf(file);
      const { servers } = readServersFile(await readFile(file, "utf8"), file, {
        ...(known === undefined ? {} : { sets: known }),
        ...(workspace === undefined ? {} : { workspace }),
      });
      const { withFirejailProfiles } = await import("../gateway/config/firejail-profiles.ts");
      const { added, changed, removed } = await gateway.apply(file, withFirejailProfiles(servers, file), workspace);
      if (added.length + changed.length + removed.length === 0) return;
      log("a file of MCP servers has changed", { file, added, changed, removed });
      for (const name of [...added, ...changed]) gateway.warmUp(name);
    } catch (thrown) {
      log("a file of MCP servers cannot be read; what it was before holds", {
        file,
        error: toFirebreakError(thrown).message,
      });
    }
  }
}
