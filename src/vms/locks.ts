import { Mutex } from "./mutex.ts";

/** A queue for each VM: what changes it runs one after another. */
export class Locks {
  readonly #locks = new Map<string, Mutex>();

  run<T>(id: string, task: () => Promise<T>): Promise<T> {
    const mutex = this.#locks.get(id) ?? new Mutex();
    this.#locks.set(id, mutex);
    return mutex.run(task);
  }

  forget(id: string): void {
    this.#locks.delete(id);
  }
}
