import { FirebreakError } from "../errors/firebreak-error.ts";
import type { OnProgress, WorkOptions } from "./ports.ts";

interface Attempt<T> {
  result: Promise<T>;
  aborter: AbortController;
  waiting: number;
  hearing: Set<OnProgress>;
}

/** Work that several want at once is done once for all of them. It is given up when the last of them has given up. */
export class SharedAttempt<T> {
  #attempt: Attempt<T> | undefined;

  get isUnderWay(): boolean {
    return this.#attempt !== undefined;
  }

  /** What `work` comes to, or what the attempt comes to that is under way. Throws as that does, and OPERATION_CANCELED. */
  async join({ signal, onProgress }: WorkOptions, work: (options: WorkOptions) => Promise<T>): Promise<T> {
    const attempt = this.#attempt ?? this.#begin(work);
    attempt.waiting++;
    if (onProgress !== undefined) attempt.hearing.add(onProgress);
    const gaveUp = Promise.withResolvers<never>();
    const onAbort = () => gaveUp.reject(new FirebreakError("OPERATION_CANCELED", "the caller has given up"));
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([attempt.result, gaveUp.promise]);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      if (onProgress !== undefined) attempt.hearing.delete(onProgress);
      if (--attempt.waiting === 0) this.#giveUp(attempt);
    }
  }

  #begin(work: (options: WorkOptions) => Promise<T>): Attempt<T> {
    const aborter = new AbortController();
    const hearing = new Set<OnProgress>();
    const onProgress: OnProgress = (progress) => {
      for (const hear of hearing) hear(progress);
    };
    const result = work({ signal: aborter.signal, onProgress });
    const attempt = { result, aborter, waiting: 0, hearing };
    this.#attempt = attempt;
    const end = () => this.#forget(attempt);
    result.then(end, end);
    return attempt;
  }

  /** Whoever comes from here on begins anew. */
  #giveUp(attempt: Attempt<T>): void {
    this.#forget(attempt);
    attempt.aborter.abort();
  }

  #forget(attempt: Attempt<T>): void {
    if (this.#attempt === attempt) this.#attempt = undefined;
  }
}
