import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { refuse } from "./request-guard.ts";

/** Part of work that is under way: an attached command is interrupted, resized and ended by these, and a call says how it ended. */
const OF_WORK_UNDER_WAY = /^\/v1\/(vms\/[^/]+\/execs\/[^/]+\/(signal|resize|kill)|calls\/[^/]+)$/;
const ALWAYS = new Set(["/v1/shutdown"]);

/** Counts the work that the daemon does for callers, and takes no more once it is about to end. To look is no work. */
export class Drain {
  readonly #work = new Set<ServerResponse | Duplex>();
  #isDraining = false;
  #onEmpty: () => void = () => {};

  /** Undefined until the end has begun. */
  get state(): { requests: number } | undefined {
    return this.#isDraining ? { requests: this.#work.size } : undefined;
  }

  /** Has a request answered; refuses new work with DAEMON_DRAINING once `empty` has been called. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse, answer: RequestListener): void {
    if (isWork(incoming)) {
      if (this.#isDraining) {
        refuse(incoming, outgoing, draining());
        return;
      }
      this.#follow(outgoing);
    }
    answer(incoming, outgoing);
  }

  /** The same for a connection that leaves HTTP for a command's sake; throws DAEMON_DRAINING. */
  admitUpgrade(socket: Duplex): void {
    if (this.#isDraining) throw draining();
    this.#follow(socket);
  }

  #follow(work: ServerResponse | Duplex): void {
    this.#work.add(work);
    work.once("close", () => {
      this.#work.delete(work);
      if (this.#work.size === 0) this.#onEmpty();
    });
  }

  /** Takes no new work from now on; resolves when what is under way is done, or after `deadlineMs`. Returns how much was not. */
  async empty(deadlineMs: number): Promise<number> {
    this.#isDraining = true;
    if (this.#work.size === 0) return 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty = resolve;
    const timer = setTimeout(resolve, deadlineMs);
    await promise;
    clearTimeout(timer);
    return this.#work.size;
  }
}

function isWork({ method, url = "", headers }: IncomingMessage): boolean {
  const path = url.split("?")[0] ?? "";
  // To listen is to look, too; MCP has only POST for it, and checks that the header says what the body does.
  if (path === "/mcp" && headers["mcp-method"] === "subscriptions/listen") return false;
  return method !== "GET" && method !== "HEAD" && !ALWAYS.has(path) && !OF_WORK_UNDER_WAY.test(path);
}

function draining(): FirebreakError {
  return new FirebreakError("DAEMON_DRAINING", "the daemon is about to end and takes no new work", {
    hint: "Run this again in a moment: the next daemon does it.",
  });
}
