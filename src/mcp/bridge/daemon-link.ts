import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint } from "../../client/endpoint.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";

/** How long a daemon that is away is waited for, ms. */
const REACH_DEADLINE_MS = 20_000;
const RETRY_MS = 250;

export interface LinkRequest {
  method: "GET" | "POST" | "DELETE";
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
  /** To do it twice does no harm, so it is tried again when the connection breaks before an answer. */
  isRepeatable: boolean;
  /** Tried once, and only with a daemon that runs: nobody asked for anything. */
  isOptional?: boolean;
}

export interface DaemonLinkOptions {
  /** The daemon; on this host it is started if it does not run. */
  reach: () => Promise<Endpoint>;
  /** The same, but none is started. */
  peek: () => Promise<Endpoint>;
  /** Of the MCP endpoint, with its query. */
  path: string;
}

interface Failure {
  error: FirebreakError;
  /** `unreached`: nothing was sent. `broken`: the daemon may have done it. `final`: trying again is of no use. */
  kind: "unreached" | "broken" | "final";
}

/** Requests to the MCP endpoint of a daemon that may be away for a while. */
export class DaemonLink {
  readonly #options: DaemonLinkOptions;
  #endpoint: Promise<Endpoint> | undefined;

  constructor(options: DaemonLinkOptions) {
    this.#options = options;
  }

  /** The answer's head. Throws DAEMON_UNAVAILABLE when no daemon is reached in time, or when it ended before it answered. */
  async send(request: LinkRequest): Promise<IncomingMessage> {
    const deadline = Date.now() + REACH_DEADLINE_MS;
    for (;;) {
      const outcome = await this.#try(request);
      const isLast = request.isOptional || request.signal.aborted || Date.now() > deadline;
      if ("kind" in outcome) {
        const { error, kind } = outcome;
        const canRepeat = kind === "unreached" || (kind === "broken" && request.isRepeatable);
        if (!canRepeat || isLast) throw error;
      } else {
        // It is about to end, or busy, and has done nothing.
        if (outcome.statusCode !== 503 || isLast) return outcome;
        outcome.resume();
      }
      // Of no use any more: the next one may be elsewhere, or has to be started.
      this.#endpoint = undefined;
      await sleep(RETRY_MS, undefined, { signal: request.signal }).catch(() => {});
    }
  }

  async #try(request: LinkRequest): Promise<IncomingMessage | Failure> {
    let endpoint: Endpoint;
    try {
      if (request.isOptional) endpoint = await this.#options.peek();
      else {
        this.#endpoint ??= this.#options.reach();
        endpoint = await this.#endpoint;
      }
    } catch (thrown) {
      this.#endpoint = undefined;
      return { error: toFirebreakError(thrown), kind: "final" };
    }
    const { method, headers, body, signal } = request;
    return new Promise((resolve) => {
      const path = this.#options.path;
      const sent = endpoint.open({ method, path, headers: { connection: "keep-alive", ...headers }, signal });
      sent.once("response", resolve);
      // A request whose answer has ended is aborted by its socket, to which Node listens no more: nobody would hear of it but the process.
      sent.once("socket", (socket) => socket.on("error", () => {}));
      sent.on("error", (error: NodeJS.ErrnoException) => resolve(toFailure(endpoint, error)));
      sent.end(body);
    });
  }
}

function toFailure(endpoint: Endpoint, error: NodeJS.ErrnoException): Failure {
  const unreached = endpoint.explainFailure(error);
  if (unreached !== undefined) return { error: unreached, kind: "unreached" };
  return { error: endedDuringCall(error), kind: "broken" };
}

/** What became of a call whose answer broke off. */
export function endedDuringCall(cause?: unknown): FirebreakError {
  const message = "the daemon ended during the call: whether it was done is not known";
  return new FirebreakError("DAEMON_UNAVAILABLE", message, {
    cause,
    hint: "Look at what there is before you repeat it.",
  });
}
