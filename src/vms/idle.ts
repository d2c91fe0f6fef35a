/** Tells when a VM has not been used for its idle timeout. A use is anything that somebody waits for. */
export class IdleWatch {
  readonly #onIdle: (id: string) => void;
  readonly #watched = new Map<string, { timeoutMs: number; changes: number; timer: NodeJS.Timeout | undefined }>();

  /** Also of those that are not watched yet: a use may be what brings a VM back. */
  readonly #users = new Map<string, number>();

  constructor(onIdle: (id: string) => void) {
    this.#onIdle = onIdle;
  }

  /** From now on; the timeout begins to run at once. */
  watch(id: string, timeoutMs: number): void {
    this.forget(id);
    this.#watched.set(id, { timeoutMs, changes: 0, timer: undefined });
    this.#arm(id);
  }

  forget(id: string): void {
    clearTimeout(this.#watched.get(id)?.timer);
    this.#watched.delete(id);
  }

  /** Runs `work` as a use. */
  async during<T>(id: string, work: () => Promise<T>): Promise<T> {
    this.#count(id, 1);
    try {
      return await work();
    } finally {
      this.#count(id, -1);
    }
  }

  /** Something was done with it just now, which nobody waits for. */
  touch(id: string): void {
    const entry = this.#watched.get(id);
    if (entry !== undefined) entry.changes++;
    this.#arm(id);
  }

  /** A number that is another one after each beginning and end of a use. */
  useCount(id: string): number {
    return this.#watched.get(id)?.changes ?? 0;
  }

  /** It turned out to be in use after all: the timeout begins anew. */
  postpone(id: string): void {
    this.#arm(id);
  }

  #count(id: string, change: number): void {
    const users = (this.#users.get(id) ?? 0) + change;
    const entry = this.#watched.get(id);
    if (entry !== undefined) entry.changes++;
    if (users > 0) this.#users.set(id, users);
    else this.#users.delete(id);
    this.#arm(id);
  }

  #arm(id: string): void {
    const entry = this.#watched.get(id);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    entry.timer = undefined;
    if (this.#users.has(id)) return;
    entry.timer = setTimeout(() => this.#onIdle(id), entry.timeoutMs);
    entry.timer.unref();
  }

  close(): void {
    for (const id of [...this.#watched.keys()]) this.forget(id);
  }
}
