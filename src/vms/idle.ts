/** Tells when a VM has not been used for its idle timeout. A use is anything that somebody waits for. */
export class IdleWatch {
  readonly #onIdle: (id: string) => void;
  readonly #watched = new Map<string, { timeoutMs: number; users: number; timer: NodeJS.Timeout | undefined }>();

  constructor(onIdle: (id: string) => void) {
    this.#onIdle = onIdle;
  }

  /** From now on; the timeout begins to run at once. */
  watch(id: string, timeoutMs: number): void {
    const users = this.#watched.get(id)?.users ?? 0;
    this.forget(id);
    this.#watched.set(id, { timeoutMs, users, timer: undefined });
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

  /** It turned out to be in use after all: the timeout begins anew. */
  postpone(id: string): void {
    this.#arm(id);
  }

  #count(id: string, change: number): void {
    const entry = this.#watched.get(id);
    if (entry === undefined) return;
    entry.users = Math.max(0, entry.users + change);
    this.#arm(id);
  }

  #arm(id: string): void {
    const entry = this.#watched.get(id);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    entry.timer = undefined;
    if (entry.users > 0) return;
    entry.timer = setTimeout(() => this.#onIdle(id), entry.timeoutMs);
    entry.timer.unref();
  }

  close(): void {
    for (const id of [...this.#watched.keys()]) this.forget(id);
  }
}
