import { rm } from "node:fs/promises";
import path from "node:path";
import { TaskLog } from "./log/task-log.ts";

/** The logs of tasks by their ids; one is open as long as somebody needs it. */
export class TaskLogs {
  readonly #folder: string;
  readonly #open = new Map<string, { log: Promise<TaskLog>; users: number }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs `work` with a task's log. */
  async use<T>(id: string, work: (log: TaskLog) => Promise<T>): Promise<T> {
    const log = await this.borrow(id);
    try {
      return await work(log);
    } finally {
      await this.giveBack(id);
    }
  }

  /** For as long as until `giveBack`. */
  async borrow(id: string): Promise<TaskLog> {
    const entry = this.#open.get(id) ?? { log: TaskLog.open(this.#place(id)), users: 0 };
    this.#open.set(id, entry);
    entry.users++;
    try {
      return await entry.log;
    } catch (error) {
      this.#open.delete(id);
      throw error;
    }
  }

  async giveBack(id: string): Promise<void> {
    const entry = this.#open.get(id);
    if (entry === undefined || --entry.users > 0) return;
    this.#open.delete(id);
    await (await entry.log).close();
  }

  async delete(id: string): Promise<void> {
    await rm(path.dirname(this.#place(id)), { recursive: true, force: true });
  }

  #place(id: string): string {
    return path.join(this.#folder, id, "events.jsonl");
  }
}
