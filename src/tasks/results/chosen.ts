import type { Readable } from "node:stream";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { ResultStorage } from "./storage.ts";

/** A storage that has kept somebody waiting for so long in vain ... */
const PATIENCE_MS = 2_000;
/** ... is not asked to keep or delete anything for so long: a task may have thousands of files, and others wait behind it. */
const REST_MS = 60_000;

export interface ChosenOptions {
  local: ResultStorage;
  /** What firebreak.toml says now; undefined: this host. */
  remote: () => ResultStorage | undefined;
  log: (message: string, fields: Record<string, unknown>) => void;
  patienceMs?: number;
  restMs?: number;
}

/** The storage that the owner has chosen. What it does not take is kept on this host, and what is on this host is found there. */
export class ChosenStorage implements ResultStorage {
  readonly #options: ChosenOptions;
  /** The storage that does not answer, and until when, by the clock that never goes back, ms. */
  #resting: { place: string; untilMs: number } | undefined;

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
      await this.#ask(chosen, () => chosen.put(digest, file, sizeBytes));
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
    if (chosen !== undefined)
      await this.#ask(chosen, () => chosen.delete(digest)).catch((thrown: unknown) => {
        log("a task's file stays", { place: chosen.place, digest, error: toFirebreakError(thrown).message });
      });
  }

  async #ask(chosen: ResultStorage, work: () => Promise<void>): Promise<void> {
    const { patienceMs = PATIENCE_MS, restMs = REST_MS } = this.#options;
    const { place } = chosen;
    const startedMs = performance.now();
    if (this.#resting?.place === place && startedMs < this.#resting.untilMs)
      throw new FirebreakError("RESULT_STORAGE_FAILED", `${place} did not answer a moment ago`);
    try {
      await work();
      this.#resting = undefined;
    } catch (error) {
      const nowMs = performance.now();
      if (nowMs - startedMs > patienceMs) this.#resting = { place, untilMs: nowMs + restMs };
      throw error;
    }
  }
}
