import { DEFAULTS } from "../contract/vm.ts";
import { compareQueued, type QueuedTask } from "./queue.ts";
import type { TaskRecord } from "./task-store.ts";

/** The queue of a daemon, in its order: thousands of tasks may wait, of which each is looked at no more often than something happens to it. */
export class WaitingTasks {
  readonly #byId = new Map<string, QueuedTask>();
  readonly #ordered: QueuedTask[] = [];

  /** In the order in which they begin. */
  get all(): readonly QueuedTask[] {
    return this.#ordered;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  add(task: QueuedTask): void {
    this.delete(task.id);
    this.#byId.set(task.id, task);
    this.#ordered.splice(this.#placeOf(task), 0, task);
  }

  delete(id: string): void {
    const task = this.#byId.get(id);
    if (task === undefined) return;
    this.#byId.delete(id);
    this.#ordered.splice(this.#placeOf(task), 1);
  }

  /** From 1; undefined for what does not wait. */
  positionOf(id: string): number | undefined {
    const task = this.#byId.get(id);
    return task === undefined ? undefined : this.#placeOf(task) + 1;
  }

  /** Those that were to have begun by `nowMs`, and when that will be so of the next one. */
  lateAt(nowMs: number): { late: QueuedTask[]; nextMs: number } {
    let nextMs = Number.POSITIVE_INFINITY;
    const late: QueuedTask[] = [];
    for (const task of this.#ordered) {
      if (task.deadlineAtMs === undefined) continue;
      if (task.deadlineAtMs > nowMs) nextMs = Math.min(nextMs, task.deadlineAtMs);
      else late.push(task);
    }
    return { late, nextMs };
  }

  /** Where it is, or would be. */
  #placeOf(task: QueuedTask): number {
    let [from, to] = [0, this.#ordered.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (compareQueued(this.#ordered[middle] as QueuedTask, task) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

export function toQueued({ id, request, createdAt, user }: TaskRecord): QueuedTask {
  const { priority, labels, cpus = DEFAULTS.cpus, deadlineAt } = request;
  return {
    ...{ id, priority, createdAtMs: Date.parse(createdAt), user, labels, cpus },
    ...(deadlineAt === undefined ? {} : { deadlineAtMs: Date.parse(deadlineAt) }),
  };
}
