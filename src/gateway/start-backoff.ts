import type { ErrorClass } from "../errors/catalogue.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";

/** How long a server that does not start is not tried again, by how often it has failed in a row, ms. */
const WAITS_MS = [5_000, 30_000, 5 * 60_000];
/** What else a start fails with is found before any VM is made, or is this host's: the next one may well go through, and costs nothing. */
const REMEMBERED: readonly ErrorClass[] = ["unavailable", "deadline_exceeded", "internal", "aborted"];

/** Remembers that a server does not start, so that not each call makes a VM in vain. */
export class StartBackoff {
  readonly #server: string;
  readonly #nowMs: () => number;
  #failures = 0;
  #last: { error: FirebreakError; retryAtMs: number } | undefined;

  constructor(server: string, nowMs: () => number = Date.now) {
    this.#server = server;
    this.#nowMs = nowMs;
  }

  /** What its last start has failed with, and from when on a call tries again; undefined when it went well, or has not been tried. */
  get last(): { error: FirebreakError; retryAtMs: number } | undefined {
    return this.#last;
  }

  /** Throws what the last start has failed with, with the time when it is tried again, while that is not yet. */
  require(): void {
    if (this.#last === undefined) return;
    const { error, retryAtMs } = this.#last;
    const waitMs = retryAtMs - this.#nowMs();
    if (waitMs <= 0) return;
    const when = `A call tries again in ${Math.ceil(waitMs / 1_000)} s; at once: firebreak server start ${this.#server}.`;
    const hint = error.hint === undefined ? `Its output: firebreak server logs ${this.#server}` : error.hint;
    throw new FirebreakError(error.code, error.message, {
      hint: `${when} ${hint}`,
      details: { ...error.details, server: this.#server, retryAfterMs: waitMs },
      cause: error,
    });
  }

  noteFailure(thrown: unknown): void {
    const error = toFirebreakError(thrown);
    if (!REMEMBERED.includes(error.class)) return;
    const waitMs = WAITS_MS[Math.min(this.#failures, WAITS_MS.length - 1)] ?? 0;
    this.#failures++;
    this.#last = { error, retryAtMs: this.#nowMs() + waitMs };
  }

  noteSuccess(): void {
    this.#failures = 0;
    this.#last = undefined;
  }
}
