import type { CallRequest } from "../contract/call.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { orGiveUp } from "../platform/abort.ts";
import type { CallRecord, CallStore } from "../store/calls.ts";

/** Either the call is the asker's to make, or somebody has made it. */
export type CallClaim = { id: string } | { answer: string };

/** Sees to it that of the calls with one idempotency key only one is made; the others wait for its answer. */
export class CallLedger {
  readonly #store: CallStore;
  /** Ends of calls under way, by id. */
  readonly #ends = new Map<string, PromiseWithResolvers<void>>();

  constructor(store: CallStore) {
    this.#store = store;
    store.loseRunning();
  }

  /**
   * Claims a call, or waits for whoever has. `onWait` is told when it waits. Throws IDEMPOTENCY_MISMATCH when the key stands for
   * another call, IDEMPOTENCY_OUTCOME_UNKNOWN when nobody knows how the call ended.
   */
  async claim(request: CallRequest, signal: AbortSignal, onWait: () => void): Promise<CallClaim> {
    for (;;) {
      const known = this.#store.find(request.key);
      if (known === undefined) {
        const { id } = this.#store.insert(request);
        this.#ends.set(id, Promise.withResolvers<void>());
        return { id };
      }
      requireSame(known, request);
      if (known.state === "done" && known.answer !== undefined) return { answer: known.answer };
      const end = this.#ends.get(known.id);
      if (known.state !== "running" || end === undefined) throw unknownOutcome(known);
      onWait();
      await orGiveUp(end.promise, signal);
    }
  }

  /** Resolves when the call has ended, one way or the other; returns its answer when it has one. */
  async waitForEnd(id: string): Promise<string | undefined> {
    await this.#ends.get(id)?.promise;
    return this.#store.get(id)?.answer;
  }

  finish(id: string, answer: string | undefined): void {
    this.#require(id);
    this.#store.finish(id, answer);
    this.#end(id);
  }

  /** Nothing has been done: the key is free again. */
  release(id: string): void {
    this.#require(id);
    this.#store.remove(id);
    this.#end(id);
  }

  /** Whoever made the call is gone. A call that has ended is left as it is. */
  lose(id: string): void {
    this.#store.lose(id);
    this.#end(id);
  }

  #require(id: string): void {
    const record = this.#store.get(id);
    if (record === undefined || record.state === "done")
      throw new FirebreakError("CALL_NOT_FOUND", `no call under way has the id '${id}'`);
  }

  #end(id: string): void {
    this.#ends.get(id)?.resolve();
    this.#ends.delete(id);
  }
}

function requireSame(known: CallRecord, request: CallRequest): void {
  if (known.tool === request.tool && known.argumentsDigest === request.argumentsDigest) return;
  const what = known.tool === request.tool ? "other arguments" : `a call of ${known.tool}`;
  throw new FirebreakError("IDEMPOTENCY_MISMATCH", `the idempotency key stands for ${what}`, {
    hint: "Each call that is not a repetition needs a key of its own.",
  });
}

function unknownOutcome(known: CallRecord): FirebreakError {
  const why =
    known.state === "done" ? "its answer is not kept any more" : "it was cut off, and how far it came is not known";
  return new FirebreakError("IDEMPOTENCY_OUTCOME_UNKNOWN", `the call with this idempotency key has been made: ${why}`, {
    hint: "Look at what is there (list, get); then call with a new key if it is still to be done.",
  });
}
