import { rm } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { TaskLog } from "./log/task-log.ts";

/** The logs of tasks by their ids; one is open as long as somebody needs it. */
export class TaskLogs {
  readonly #folder: string;
  readonly #open = new Map<string, { log: Promise<TaskLog>; users: number }>();
  /** Deletions that are under way: whether they have succeeded. */
  readonly #deleting = new Map<string, Promise<boolean>>();

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

  /** For as long as until `giveBack`. Throws TASK_NOT_FOUND for one that is being deleted. */
  async borrow(id: string): Promise<TaskLog> {
    const deletion = this.#deleting.get(id);
    if (deletion !== undefined && (await deletion))
      throw new FirebreakError("TASK_NOT_FOUND", `there is no task '${id}' any more`);
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

  /** Whoever has it open keeps what is open, and nobody makes it anew meanwhile. */
  async delete(id: string): Promise<void> {
    const remove = async () => {
      await this.#open.get(id)?.log.catch(() => {});
      await rm(path.dirname(this.#place(id)), { recursive: true, force: true });
    };
    const work = remove();
    this.#deleting.set(
      id,
      work.then(
        () => true,
        () => false,
      ),
    );
    await work.finally(() => this.#deleting.delete(id));
  }

  #place(id: string): string {
    return path.join(this.#folder, id, "events.jsonl");
  }
}
