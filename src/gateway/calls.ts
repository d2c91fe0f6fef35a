import { randomBytes } from "node:crypto";
import { RPC_CODE, RpcError } from "./rpc/messages.ts";

/** A client that does not come back with what a call waits for has given it up. */
const PARK_MS = 10 * 60_000;
const MAX_PARKED = 1_000;

/** Something that a server wants to know while it works on a call. */
export interface Question {
  method: string;
  params: Record<string, unknown>;
  answer: (result: Record<string, unknown>) => void;
  refuse: (error: Error) => void;
}

export interface CallOwner {
  /** Whose call it is: nobody else is asked about it, or may answer. */
  principal: string;
  /** What the client can be asked. */
  capabilities: Record<string, unknown>;
  onLog: (params: Record<string, unknown>) => void;
}

/** A call that is under way with a server, and what the server asks meanwhile. */
export class Call {
  readonly owner: CallOwner;
  readonly result: Promise<Record<string, unknown>>;
  readonly #aborter: AbortController;
  readonly #questions: Question[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(owner: CallOwner, work: (signal: AbortSignal) => Promise<Record<string, unknown>>) {
    this.owner = owner;
    this.#aborter = new AbortController();
    this.result = work(this.#aborter.signal);
    // It is awaited in rounds, and may fail between two of them.
    this.result.catch(() => {});
  }

  cancel(): void {
    this.#aborter.abort();
  }

  /** Throws RpcError where its client cannot be asked. */
  async ask(method: string, params: Record<string, unknown>, signal: AbortSignal): Promise<Record<string, unknown>> {
    const capability = method.split("/")[0] as string;
    if (this.owner.capabilities[capability] === undefined)
      throw new RpcError({
        code: RPC_CODE.methodNotFound,
        message: `the client cannot be asked: it has no ${capability}`,
      });
    return new Promise((answer, refuse) => {
      const question = { method, params, answer, refuse };
      this.#questions.push(question);
      const onAbort = () => {
        const at = this.#questions.indexOf(question);
        if (at >= 0) this.#questions.splice(at, 1);
        refuse(new Error("the server does not ask any more"));
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#wake.resolve();
    });
  }

  /** The next question, or the result, whichever comes first. Aborting gives the call up. */
  async next(signal: AbortSignal): Promise<{ question: Question } | { result: Record<string, unknown> }> {
    const onAbort = () => this.cancel();
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      // Woken by one that was taken back meanwhile, it waits on.
      while (this.#questions.length === 0) {
        const woken = this.#wake.promise.then(() => undefined);
        const result = await Promise.race([this.result, woken]);
        this.#wake = Promise.withResolvers<void>();
        if (result !== undefined) return { result };
      }
      return { question: this.#questions.shift() as Question };
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

/** Calls under way to one server, so that what it asks finds the client that it is for. */
export class Calls {
  readonly #active = new Set<Call>();

  get size(): number {
    return this.#active.size;
  }

  begin(call: Call): void {
    this.#active.add(call);
    call.result.finally(() => this.#active.delete(call)).catch(() => {});
  }

  /**
   * A server over stdio does not say which call it asks for: with several under way it is the newest, and none when they are of several
   * principals. Throws RpcError where nobody can be asked.
   */
  async ask(method: string, params: Record<string, unknown>, signal: AbortSignal): Promise<Record<string, unknown>> {
    const call = this.#only();
    if (call === undefined)
      throw new RpcError({
        code: RPC_CODE.invalidRequest,
        message: `${method} is for a call under way, of one client; isolation = "session" gives each client a server of its own`,
      });
    return call.ask(method, params, signal);
  }

  log(params: Record<string, unknown>): void {
    this.#only()?.owner.onLog(params);
  }

  #only(): Call | undefined {
    const calls = [...this.#active];
    const newest = calls.at(-1);
    return calls.every(({ owner }) => owner.principal === newest?.owner.principal) ? newest : undefined;
  }
}

interface Parked {
  call: Call;
  question: Question;
  /** What the call was of: another one is none of its rounds. */
  subject: string;
  timer: NodeJS.Timeout;
}

/** Calls whose clients have been asked something, and come back with the answer. */
export class ParkedCalls {
  readonly #parked = new Map<string, Parked>();

  /** Returns the state that the client has to bring back. */
  park(call: Call, question: Question, subject: string): string {
    if (this.#parked.size >= MAX_PARKED) {
      call.cancel();
      throw new RpcError({ code: RPC_CODE.internal, message: "too many calls wait for their clients' answers" });
    }
    const state = randomBytes(24).toString("base64url");
    const timer = setTimeout(() => {
      this.#parked.delete(state);
      call.cancel();
    }, PARK_MS);
    timer.unref();
    this.#parked.set(state, { call, question, subject, timer });
    return state;
  }

  /** Throws RpcError for a state that is not known (any more), or of somebody else's call. */
  take(state: string, principal: string, subject: string): Pick<Parked, "call" | "question"> {
    const parked = this.#parked.get(state);
    if (parked === undefined || parked.call.owner.principal !== principal || parked.subject !== subject)
      throw new RpcError({ code: RPC_CODE.invalidParams, message: "Invalid or expired requestState" });
    clearTimeout(parked.timer);
    this.#parked.delete(state);
    return parked;
  }

  close(): void {
    for (const { call, timer } of this.#parked.values()) {
      clearTimeout(timer);
      call.cancel();
    }
    this.#parked.clear();
  }
}
