/** Many share it at once, or one has it alone; in order of arrival. */
export class SharedLock {
  #alone: Promise<unknown> = Promise.resolve();
  readonly #sharing = new Set<Promise<unknown>>();

  /** Waits for those before it that have it alone. */
  share<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#alone.then(task);
    const ended: Promise<unknown> = result.catch(() => {}).then(() => this.#sharing.delete(ended));
    this.#sharing.add(ended);
    return result;
  }

  /** Waits for all before it. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    const result = Promise.all([this.#alone, ...this.#sharing]).then(task);
    this.#alone = result.catch(() => {});
    return result;
  }
}
