/** The longest wait that Node's timers take, ms; longer ones would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Timers by the id of what they are for; a new one replaces the old one of its id. They keep no process running. */
export class IdTimers {
  readonly #timers = new Map<string, NodeJS.Timeout>();

  /** Calls `work` after `delayMs`, however long that is. */
  set(id: string, delayMs: number, work: () => void): void {
    this.cancel(id);
    const step = Math.min(Math.max(0, delayMs), MAX_TIMER_MS);
    const timer = setTimeout(() => {
      this.#timers.delete(id);
      if (delayMs > step) this.set(id, delayMs - step, work);
      else work();
    }, step);
    timer.unref();
    this.#timers.set(id, timer);
  }

  cancel(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  close(): void {
    for (const id of [...this.#timers.keys()]) this.cancel(id);
  }
}
