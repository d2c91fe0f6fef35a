import type { EgressEvent } from "../contract/egress.ts";
import type { EgressStore } from "./egress-store.ts";

export type EgressEntry = Omit<EgressEvent, "id" | "at" | "count">;

/** Events wait so long for others to be written with, ms: each write is a wait for the disk. What a daemon that dies now would lose. */
const FLUSH_MS = 250;
/** Equal ones within this time are one, ms. */
const SAME_MS = 1_000;
/** Of one VM per second; the rest is counted. A guest decides how many there are. */
const MAX_PER_SECOND = 200;

interface Budget {
  sinceMs: number;
  used: number;
  dropped: number;
}

/** The record of what guests have tried: for people, in the order in which it happened, bounded whatever a guest does. */
export class EgressLog {
  readonly #store: EgressStore;
  readonly #onFailure: (error: unknown) => void;
  /** Since the daemon's start, those included that are not noted. */
  readonly totals = { allowed: 0, denied: 0, failed: 0 };
  readonly #listeners = new Set<(event: EgressEvent) => void>();
  readonly #waiting = new Map<number, EgressEvent>();
  readonly #recent = new Map<string, { event: EgressEvent; untilMs: number }>();
  readonly #budgets = new Map<string, Budget>();
  #nextId: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: EgressStore, onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
    this.#nextId = store.lastId() + 1;
  }

  /** Undefined: not noted, since the VM has had its share of this second. */
  add(entry: EgressEntry, count = 1): EgressEvent | undefined {
    this.totals[entry.verdict] += count;
    const nowMs = Date.now();
    const key = JSON.stringify([
      entry.vm.id,
      entry.protocol,
      entry.verdict,
      entry.name,
      entry.port,
      entry.address,
      entry.why,
    ]);
    const same = this.#recent.get(key);
    if (entry.state === "closed" && same !== undefined && same.untilMs > nowMs) {
      same.event.count += count;
      this.#queue(same.event);
      return same.event;
    }
    const budget = this.#budgetOf(entry.vm, nowMs);
    if (budget.used >= MAX_PER_SECOND) {
      budget.dropped += count;
      return undefined;
    }
    budget.used++;
    const event: EgressEvent = { id: this.#nextId++, at: new Date(nowMs).toISOString(), ...entry, count };
    if (entry.state === "closed") this.#remember(key, event, nowMs);
    this.#queue(event);
    for (const listener of this.#listeners) listener(event);
    return event;
  }

  /** A connection that was noted as open has ended. */
  end(event: EgressEvent, changes: Partial<EgressEvent>): void {
    Object.assign(event, changes, { state: "closed" });
    this.#queue(event);
    for (const listener of this.#listeners) listener(event);
  }

  list(filter: Parameters<EgressStore["list"]>[0]): EgressEvent[] {
    this.flush();
    return this.#store.list(filter);
  }

  /** Calls with each event from now on: a connection's twice, when it begins and when it has ended. */
  follow(listener: (event: EgressEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size === 0) return;
    const events = [...this.#waiting.values()];
    this.#waiting.clear();
    try {
      this.#store.write(events);
    } catch (error) {
      // A full disk keeps no VM from going on.
      this.#onFailure(error);
    }
  }

  close(): void {
    this.flush();
    this.#listeners.clear();
  }

  #queue(event: EgressEvent): void {
    this.#waiting.set(event.id, event);
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  #remember(key: string, event: EgressEvent, nowMs: number): void {
    if (this.#recent.size >= 1_000)
      for (const [old, { untilMs }] of this.#recent) if (untilMs <= nowMs) this.#recent.delete(old);
    if (this.#recent.size < 10_000) this.#recent.set(key, { event, untilMs: nowMs + SAME_MS });
  }

  #budgetOf(vm: EgressEvent["vm"], nowMs: number): Budget {
    const budget = this.#budgets.get(vm.id);
    if (budget !== undefined && nowMs - budget.sinceMs < 1_000) return budget;
    const fresh = { sinceMs: nowMs, used: 0, dropped: 0 };
    this.#budgets.set(vm.id, fresh);
    if (budget !== undefined && budget.dropped > 0)
      this.add(
        {
          vm,
          protocol: "other",
          verdict: "denied",
          why: "more tries than are noted one by one",
          state: "closed",
          sentBytes: 0,
          receivedBytes: 0,
        },
        budget.dropped,
      );
    return fresh;
  }

  forget(vmId: string): void {
    this.#budgets.delete(vmId);
  }
}
