import { orGiveUp } from "../platform/abort.ts";

/**
 * Lets a few do at a time what needs a processor for as long as it lasts: all at once, each would be in the others' way, and none would be
 * sooner done. Whoever takes too long keeps its turn no longer from the next one.
 */
export class Turns {
  readonly #longestMs: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** `longestMs`: what a turn lasts at most, ms. */
  constructor(count: number, longestMs: number) {
    this.#free = count;
    this.#longestMs = longestMs;
  }

  /** Resolves to what ends the turn; ending it twice does no harm. Throws OPERATION_CANCELED when the signal comes first. */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#passOn();
    };
    const timer = setTimeout(end, this.#longestMs);
    timer.unref();
    return end;
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await orGiveUp(promise, signal).catch((error: unknown) => {
      const index = this.#waiting.indexOf(resolve);
      // The turn may have come at this very moment.
      if (index === -1) this.#passOn();
      else this.#waiting.splice(index, 1);
      throw error;
    });
  }

  #passOn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
