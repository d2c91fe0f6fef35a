import type { Readable } from "node:stream";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { ResultStorage } from "./storage.ts";

export interface ChosenOptions {
  local: ResultStorage;
  /** What firebreak.toml says now; undefined: this host. */
  remote: () => ResultStorage | undefined;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The storage that the owner has chosen. What it does not take is kept on this host, and what is on this host is found there. */
export class ChosenStorage implements ResultStorage {
  readonly #options: ChosenOptions;

  constructor(options: ChosenOptions) {
    this.#options = options;
  }

  get place(): string {
    return (this.#options.remote() ?? this.#options.local).place;
  }

  async put(digest: string, file: string, sizeBytes: number): Promise<void> {
    const { local, remote, log } = this.#options;
    const chosen = remote();
    if (chosen === undefined) return local.put(digest, file, sizeBytes);
    try {
      await chosen.put(digest, file, sizeBytes);
    } catch (thrown) {
      log("a task's file is kept on this host", { place: chosen.place, error: toFirebreakError(thrown).message });
      await local.put(digest, file, sizeBytes);
    }
  }

  async get(digest: string, range: { offset?: number | undefined; length?: number | undefined }): Promise<Readable> {
    const { local, remote } = this.#options;
    const chosen = remote();
    if (chosen === undefined) return local.get(digest, range);
    // What was kept here, before or for a failure, is nearer; nothing is asked of the network for it.
    return local.get(digest, range).catch((error: unknown) => {
      if (error instanceof FirebreakError && error.code === "ARTIFACT_CORRUPT") return chosen.get(digest, range);
      throw error;
    });
  }

  async delete(digest: string): Promise<void> {
    const { local, remote, log } = this.#options;
    await local.delete(digest);
    const chosen = remote();
    // The task is forgotten already: its other parts are not to stay for this.
    await chosen?.delete(digest).catch((thrown: unknown) => {
      log("a task's file stays", { place: chosen.place, digest, error: toFirebreakError(thrown).message });
    });
  }
}
