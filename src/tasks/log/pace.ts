/** What one follower gets at once, however fast others are, bytes: what people write, and agents say, never waits. */
const BURST_BYTES = 16 * 1024;

/** How much one follower may take: a burst at once, and beyond that so many bytes a second. */
export class Pace {
  readonly #now: () => number;
  #left = BURST_BYTES;
  #atMs: number;

  /** `now` is a clock that never goes back, ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#atMs = now();
  }

  /** How long to wait before the next bytes at this rate, ms; 0 when they may go at once. */
  waitMs(bytesPerSecond: number): number {
    const now = this.#now();
    this.#left = Math.min(BURST_BYTES, this.#left + ((now - this.#atMs) / 1000) * bytesPerSecond);
    this.#atMs = now;
    return this.#left > 0 ? 0 : Math.ceil(((1 - this.#left) / bytesPerSecond) * 1000);
  }

  spend(bytes: number): void {
    this.#left -= bytes;
  }
}
