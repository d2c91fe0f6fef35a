import { setTimeout as sleep } from "node:timers/promises";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import type { DeliveryStore, PendingDelivery } from "./delivery-store.ts";
import { signWebhook } from "./signature.ts";

/** Between one try and the next, ms: five tries in all. */
export const RETRY_WAITS_MS: readonly number[] = [5_000, 30_000, 5 * 60_000, 30 * 60_000];
/** Of one try, its answer included, ms. */
export const TRY_DEADLINE_MS = 10_000;
const MAX_AT_ONCE = 16;
/** A host that does not answer keeps no others waiting. */
const MAX_AT_ONCE_PER_HOST = 2;
const MAX_LOOKED_AT = 1_000;
/** It does not want to be told any more (Standard Webhooks). */
const GONE = 410;
const MAX_TIMER_MS = 3600_000;

export interface WebhookPost {
  url: URL;
  headers: Record<string, string>;
  body: string;
  isConfined: boolean;
}

export interface WebhookSenderOptions {
  store: DeliveryStore;
  /** Makes the request, follows no redirect, and answers with its status. Throws EGRESS_DENIED, NAME_NOT_RESOLVED, CONNECTION_… */
  post: (request: WebhookPost, signal: AbortSignal) => Promise<number>;
  /** Throws SECRET_NOT_FOUND, SECRET_INVALID. */
  secretFor: (name: string, url: URL) => string;
  log: (message: string, fields: Record<string, unknown>) => void;
  waitsMs?: readonly number[];
  deadlineMs?: number;
}

/** Tells receivers of the ends of tasks, each at least once unless it fails all tries. What is due is in the store: the next daemon goes on. */
export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #sending = new Map<string, { host: string; done: Promise<void> }>();
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  /** Sends what is due, and later what will be. */
  wake(): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#timer);
    let waitMs = MAX_TIMER_MS;
    for (const delivery of this.#options.store.pending(MAX_LOOKED_AT)) {
      if (this.#sending.has(delivery.id)) continue;
      const inMs = Date.parse(delivery.dueAt) - Date.now();
      if (inMs > 0) {
        waitMs = Math.min(waitMs, inMs);
        break;
      }
      // The end of one that is being sent wakes this again.
      if (this.#sending.size >= MAX_AT_ONCE) break;
      const { host } = new URL(delivery.url);
      const same = [...this.#sending.values()].filter((other) => other.host === host);
      if (same.length >= MAX_AT_ONCE_PER_HOST) continue;
      const done = this.#send(delivery).finally(() => {
        this.#sending.delete(delivery.id);
        this.wake();
      });
      this.#sending.set(delivery.id, { host, done });
    }
    this.#timer = setTimeout(() => this.wake(), waitMs + 1).unref();
  }

  /** What is being sent is given up, and sent again by the next daemon. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await Promise.all([...this.#sending.values()].map(({ done }) => done));
  }

  /** Never throws. */
  async #send(delivery: PendingDelivery): Promise<void> {
    const { store, log, waitsMs = RETRY_WAITS_MS } = this.#options;
    const { id, task } = delivery;
    const outcome = await this.#try(delivery);
    if (this.#closing.signal.aborted && !outcome.isDelivered) return;
    const tries = delivery.tries + 1;
    const waitMs = outcome.isFinal ? undefined : waitsMs[tries - 1];
    const reason = outcome.reason;
    try {
      if (outcome.isDelivered) store.update(id, { state: "delivered", tries, reason });
      else if (waitMs === undefined) store.update(id, { state: "failed", tries, reason });
      else store.update(id, { tries, reason, dueAt: new Date(Date.now() + waitMs).toISOString() });
    } catch (error) {
      log("what became of a webhook could not be written", { task, error: toFirebreakError(error).message });
      // Not at once again: the disk may be full, and the receiver is not to be told in a loop.
      await sleep(waitsMs[0], undefined, { ref: false, signal: this.#closing.signal }).catch(() => {});
      return;
    }
    if (!outcome.isDelivered)
      log("a webhook was not delivered", {
        task,
        host: new URL(delivery.url).host,
        tries,
        isLast: waitMs === undefined,
        reason,
      });
  }

  async #try({ id, url: text, secret, isConfined }: PendingDelivery) {
    const { store, post, secretFor, deadlineMs = TRY_DEADLINE_MS } = this.#options;
    const timeout = AbortSignal.timeout(deadlineMs);
    try {
      const url = new URL(text);
      const body = store.bodyOf(id);
      const seconds = Math.floor(Date.now() / 1000);
      const headers = {
        "content-type": "application/json",
        "user-agent": "firebreak",
        "webhook-id": id,
        "webhook-timestamp": String(seconds),
        ...(secret === undefined
          ? {}
          : { "webhook-signature": signWebhook(secretFor(secret, url), id, seconds, body) }),
      };
      const status = await post({ url, headers, body, isConfined }, AbortSignal.any([this.#closing.signal, timeout]));
      const isDelivered = status >= 200 && status < 300;
      return { isDelivered, isFinal: status === GONE, reason: isDelivered ? undefined : `the answer was ${status}` };
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      const reason = timeout.aborted ? `no answer within ${deadlineMs / 1000} s` : error.message;
      return { isDelivered: false, isFinal: error.code === "EGRESS_DENIED", reason };
    }
  }
}
