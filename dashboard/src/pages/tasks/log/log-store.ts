import type { TaskEvent } from "../../../../../src/contract/task-event.ts";
import type { ApiError } from "../../../api/client.ts";
import { follow } from "../../../api/follow.ts";
import type { ServerSentEvent } from "../../../api/sse.ts";
import { type Block, BlockBuilder } from "./blocks.ts";

/** A history of many events comes in pieces: the page is drawn anew so often as it does, ms. */
const BULK_MS = 150;
/** So many events at once are such a piece. */
const BULK = 100;

/** What the log's page is drawn from. The lists are the store's own and grow; each snapshot is another object. */
export interface LogSnapshot {
  events: readonly TaskEvent[];
  blocks: readonly Block[];
  /** Whether events come as they are made. */
  isLive: boolean;
  /** The task has ended and all its events are here. */
  isComplete: boolean;
  error: ApiError | undefined;
}

/**
 * The events of one task, followed from the first to its end over any number of connections: each is asked for from the number after the last one that is
 * here, so that none is missed and none comes twice. Those who look are told once a frame at most, and less often while a long history comes.
 */
export class LogStore {
  readonly #id: string;
  readonly #events: TaskEvent[] = [];
  readonly #builder = new BlockBuilder();
  readonly #listeners = new Set<() => void>();
  #lastSeq = 0;
  #isTelling = false;
  #snapshot: LogSnapshot;

  constructor(id: string) {
    this.#id = id;
    this.#snapshot = {
      events: this.#events,
      blocks: this.#builder.blocks,
      isLive: false,
      isComplete: false,
      error: undefined,
    };
  }

  /** Follows until the signal, or the end of the task. */
  follow(signal: AbortSignal): void {
    void follow({
      path: () => ({ path: `/v1/tasks/${encodeURIComponent(this.#id)}/events`, query: { from: this.#lastSeq + 1 } }),
      onEvents: (events) => this.#take(events),
      onConnection: (isLive) => this.#update({ isLive }),
      onError: (error) => this.#update({ error, isLive: false }),
      signal,
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): LogSnapshot => this.#snapshot;

  #take(events: readonly ServerSentEvent[]): boolean {
    let isEnd = false;
    for (const { event, data } of events) {
      if (event === "skipped") {
        const { skipped } = JSON.parse(data) as { skipped: { from: number; to: number } };
        this.#builder.skip(skipped.from, skipped.to);
        this.#lastSeq = skipped.to;
        continue;
      }
      const taskEvent = JSON.parse(data) as TaskEvent;
      if (taskEvent.seq <= this.#lastSeq) continue;
      this.#lastSeq = taskEvent.seq;
      this.#events.push(taskEvent);
      this.#builder.push(taskEvent);
      isEnd = taskEvent.type === "finished";
    }
    this.#update(isEnd ? { isComplete: true, isLive: false } : {}, events.length >= BULK);
    return isEnd;
  }

  #update(changes: Partial<LogSnapshot>, isBulk = false): void {
    this.#snapshot = { ...this.#snapshot, ...changes };
    if (this.#isTelling) return;
    this.#isTelling = true;
    const tell = () => {
      this.#isTelling = false;
      for (const listener of this.#listeners) listener();
    };
    // Without frames (a page that nobody sees) there is nothing to draw.
    if (isBulk) setTimeout(tell, BULK_MS);
    else requestAnimationFrame(tell);
  }
}
