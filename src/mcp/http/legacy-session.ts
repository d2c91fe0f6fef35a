import { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  type RequestId,
  type Server,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { silently } from "../../telemetry/tracing.ts";
import { withLegacyErrors } from "../legacy-errors.ts";
import { answerWithEvents, RPC_ERROR, refuse } from "./answers.ts";
import { decodeEventId, EventBuffer, isRequestId } from "./event-buffer.ts";
import { respond } from "./respond.ts";
import type { McpSessionRecord } from "./session-store.ts";

/** How long a client whose connection broke in mid-call may take to read on, ms; then its calls are given up. */
export const RESUME_GRACE_MS = 10_000;

/** The name that the SDK's transport has for the stream that a GET opens. */
const STANDALONE = "_GET_stream";

/** A POST whose answers are under way. */
interface Exchange {
  requestIds: RequestId[];
  /** Known once an event with an id has gone out: from then on the client can read on elsewhere. */
  streamId?: string;
  grace?: NodeJS.Timeout;
  /** Given up: what still comes of it is for nobody. */
  isOver?: boolean;
}

export interface LegacySessionOptions {
  id: string;
  server: Server;
  graceMs?: number;
  onClosed: () => void;
  onError: (error: Error) => void;
}

/** One legacy client's session: a server of its own, and the streams that its answers go out on. */
export class LegacySession {
  readonly id: string;
  readonly server: Server;
  readonly #options: LegacySessionOptions;
  readonly #transport: WebStandardStreamableHTTPServerTransport;
  readonly #buffer: EventBuffer;
  /** Whose answer is being made, so that a stream's first event can be told from which request it comes. */
  readonly #current = new AsyncLocalStorage<Exchange>();
  readonly #exchanges = new Map<string, Exchange>();
  #open = 0;
  #usedMs = Date.now();

  private constructor(options: LegacySessionOptions) {
    this.#options = options;
    this.id = options.id;
    this.server = options.server;
    this.#buffer = new EventBuffer((streamId) => this.#requestIdsOf(streamId));
    this.#transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => options.id,
      eventStore: this.#buffer,
      retryInterval: 1_000,
    });
  }

  /** A session that waits for its client's `initialize`. */
  static async open(options: LegacySessionOptions): Promise<LegacySession> {
    const session = new LegacySession(options);
    await options.server.connect(withLegacyErrors(session.#transport));
    const closeServer = options.server.onclose;
    options.server.onclose = () => {
      closeServer?.();
      for (const { grace } of session.#exchanges.values()) clearTimeout(grace);
      session.#exchanges.clear();
      options.onClosed();
    };
    options.server.onerror = options.onError;
    return session;
  }

  /** A session that an earlier process, or this one while it was idle, has let go of: what its client said then is said again. */
  static async restore(record: McpSessionRecord, options: LegacySessionOptions): Promise<LegacySession> {
    const session = await LegacySession.open(options);
    const say = async (message: Record<string, unknown>) => {
      const request = new Request("http://firebreak/mcp", {
        method: "POST",
        headers: {
          accept: "application/json, text/event-stream",
          "content-type": "application/json",
          "mcp-session-id": record.id,
        },
      });
      const parsedBody = { jsonrpc: "2.0", ...message };
      await (await session.#transport.handleRequest(request, { parsedBody })).text();
    };
    // Nobody asks for it now: no trace tells of it.
    await silently(async () => {
      await say({ id: "restore", method: "initialize", params: record.initialize });
      await say({ method: "notifications/initialized" });
      for (const uri of record.subscriptions) await say({ id: uri, method: "resources/subscribe", params: { uri } });
    });
    session.#buffer.clear();
    return session;
  }

  /** Nothing is under way, nobody listens, nobody may come back for an answer. */
  get isIdle(): boolean {
    return this.#open === 0 && this.#exchanges.size === 0;
  }

  get usedMs(): number {
    return this.#usedMs;
  }

  /** Answers one request of the session's client. `body` is the parsed body of a POST. */
  async handle(request: Request, body: unknown, outgoing: ServerResponse): Promise<void> {
    this.#open++;
    this.#usedMs = Date.now();
    try {
      if (request.method === "POST") await this.#post(request, body, outgoing);
      else if (request.method === "GET") await this.#listen(request, outgoing);
      else await respond(outgoing, await this.#transport.handleRequest(request));
    } finally {
      this.#open--;
      this.#usedMs = Date.now();
    }
  }

  close(): Promise<void> {
    return this.server.close();
  }

  async #post(request: Request, body: unknown, outgoing: ServerResponse): Promise<void> {
    const exchange: Exchange = { requestIds: requestIdsOf(body) };
    const response = await this.#current.run(exchange, () =>
      this.#transport.handleRequest(request, { parsedBody: body }),
    );
    for (const requestId of cancelledIdsOf(body)) this.#endCancelled(requestId);
    this.#settle(exchange, await respond(outgoing, response));
  }

  /** A request that its client has cancelled is not answered: what its answer would have gone out on ends now. */
  #endCancelled(requestId: RequestId): void {
    const exchange = [...this.#exchanges.values()].find(({ requestIds }) => requestIds.includes(requestId));
    // Others of the same POST go on.
    if (exchange?.streamId === undefined || exchange.requestIds.length > 1) return;
    this.#forget(exchange, exchange.streamId);
    this.#transport.closeSSEStream(requestId);
  }

  async #listen(request: Request, outgoing: ServerResponse): Promise<void> {
    const lastEventId = request.headers.get("last-event-id");
    if (lastEventId === null) {
      await respond(outgoing, await this.#transport.handleRequest(request));
      return;
    }
    const streamId = await this.#buffer.getStreamIdForEventId(lastEventId);
    const exchange = streamId === undefined ? undefined : this.#exchanges.get(streamId);
    if (exchange !== undefined) {
      clearTimeout(exchange.grace);
      delete exchange.grace;
      this.#settle(exchange, await respond(outgoing, await this.#transport.handleRequest(request)));
      return;
    }
    if (streamId === STANDALONE) {
      await respond(outgoing, await this.#transport.handleRequest(request));
      return;
    }
    if (streamId !== undefined) {
      const message = "nothing more comes of what has been answered, or cancelled";
      await respond(outgoing, refuse(405, { code: RPC_ERROR.transport, message }, { headers: { allow: "POST" } }));
      return;
    }
    const lost = decodeEventId(lastEventId)?.requestIds ?? [];
    if (lost.length > 0) {
      await respond(outgoing, answerWithEvents(lost.map(answerLost)));
      return;
    }
    // An event of before a restart: what there was is gone, what comes is listened for anew.
    const headers = new Headers(request.headers);
    headers.delete("last-event-id");
    const fresh = new Request(request.url, { headers, signal: request.signal });
    await respond(outgoing, await this.#transport.handleRequest(fresh));
  }

  /** A stream has ended. A reader that has heard an event's id may come back for the rest, also of what the server ended on purpose. */
  #settle(exchange: Exchange, isWhole: boolean): void {
    const { streamId } = exchange;
    if (streamId === undefined) {
      exchange.isOver = true;
      if (!isWhole) this.#cancel(exchange);
    } else if (isWhole && this.#isAnswered(exchange)) {
      this.#forget(exchange, streamId);
    } else this.#awaitReader(exchange, streamId);
  }

  #awaitReader(exchange: Exchange, streamId: string): void {
    if (!this.#exchanges.has(streamId)) return;
    clearTimeout(exchange.grace);
    exchange.grace = setTimeout(() => {
      this.#cancel(exchange);
      this.#forget(exchange, streamId);
    }, this.#options.graceMs ?? RESUME_GRACE_MS);
    exchange.grace.unref();
  }

  #forget(exchange: Exchange, streamId: string): void {
    exchange.isOver = true;
    clearTimeout(exchange.grace);
    this.#exchanges.delete(streamId);
    this.#buffer.forget(streamId);
  }

  #isAnswered(exchange: Exchange): boolean {
    return exchange.requestIds.every((id) => this.#buffer.hasAnswer(exchange.streamId ?? "", id));
  }

  /** As if the client had cancelled its requests: nobody will read their answers. */
  #cancel(exchange: Exchange): void {
    for (const requestId of exchange.requestIds) {
      const params = { requestId, reason: "the client is gone" };
      this.#transport.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params });
    }
  }

  #requestIdsOf(streamId: string): RequestId[] {
    if (streamId === STANDALONE) return [];
    let exchange = this.#exchanges.get(streamId);
    if (exchange === undefined) {
      exchange = this.#current.getStore();
      if (exchange === undefined || exchange.isOver) return [];
      exchange.streamId = streamId;
      this.#exchanges.set(streamId, exchange);
    }
    return exchange.requestIds;
  }
}

function requestIdsOf(body: unknown): RequestId[] {
  const messages = (Array.isArray(body) ? body : [body]) as JSONRPCMessage[];
  return messages
    .filter((message) => isJSONRPCRequest(message))
    .map(({ id }) => id)
    .filter(isRequestId);
}

function cancelledIdsOf(body: unknown): RequestId[] {
  const messages = (Array.isArray(body) ? body : [body]) as { method?: unknown; params?: { requestId?: unknown } }[];
  return messages
    .filter((message) => message?.method === "notifications/cancelled")
    .map(({ params }) => params?.requestId)
    .filter(isRequestId);
}

function answerLost(id: RequestId) {
  const message = "the daemon ended during the call: whether it was done is not known";
  const data = { code: "DAEMON_UNAVAILABLE", retryable: false };
  return { jsonrpc: "2.0", id, error: { code: RPC_ERROR.internal, message, data } };
}
