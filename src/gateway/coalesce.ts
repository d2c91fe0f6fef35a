import { setTimeout as sleep } from "node:timers/promises";

/**
 * Work that is asked for more often than it is worth doing: it is done once at a time, no sooner than `gapMs` after the last time, and once
 * more for all that was asked meanwhile.
 */
export class Coalesced {
  readonly #work: () => Promise<void>;
  readonly #gapMs: number;
  #isUnderWay = false;
  #isWanted = false;

  /** What `work` throws is its own to tell. */
  constructor(work: () => Promise<void>, gapMs: number) {
    this.#work = work;
    this.#gapMs = gapMs;
  }

  ask(): void {
    this.#isWanted = true;
    if (!this.#isUnderWay) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isUnderWay = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#work().catch(() => {});
      await sleep(this.#gapMs, undefined, { ref: false });
    }
    this.#isUnderWay = false;
  }
}
