/** How many in a row are passed on, and how many each second after that. */
const BURST = 200;
const PER_SECOND = 100;

/** Of what a server may send without end, as much as anybody can use; the rest is dropped. */
export class Allowance {
  readonly #nowMs: () => number;
  #left = BURST;
  #filledMs: number;

  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
    this.#filledMs = nowMs();
  }

  /** Whether one more may pass. */
  take(): boolean {
    const nowMs = this.#nowMs();
    this.#left = Math.min(BURST, this.#left + ((nowMs - this.#filledMs) * PER_SECOND) / 1_000);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
