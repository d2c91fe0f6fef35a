import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type JSONRPCMessage, parseJSONRPCMessage, type Server } from "@modelcontextprotocol/server";
import { RPC_ERROR, refuse } from "../http/answers.ts";
import { readMessage } from "../http/request-body.ts";
import { respond } from "../http/respond.ts";
import { withLegacyErrors } from "../legacy-errors.ts";
import type { SubscriptionHooks } from "../subscription-hooks.ts";
import { SseTransport } from "./transport.ts";

const MAX_SESSIONS = 256;
const MAX_SESSIONS_OF_ONE = 64;
const MAX_SUBSCRIPTIONS = 256;
const QUERY = "sessionId";

export interface SseSessionsOptions {
  onError: (error: Error) => void;
  maxSessions?: number;
  maxSessionsOfOne?: number;
}

/** What a session is of, and how it is served. */
export interface SseSession {
  /** Sessions of another place are not found at this one. */
  place: string;
  principal: string;
  createServer: (session: string, hooks: SubscriptionHooks) => Server;
  /** Sees to it that changes of these resources are told of, until it is called off. */
  watch: (uris: readonly string[], watcher: { principal: string; session: string }) => () => void;
  onClosed: (session: string) => void;
}

interface Open extends SseSession {
  server: Server;
  transport: SseTransport;
  subscriptions: Map<string, () => void>;
}

/**
 * Clients that speak the transport of 2024-11-05: a stream that stays open, and messages that are posted beside it. The SDK's own is not used: it comes
 * with 79 packages (express among them), and writes to a client without looking whether that reads.
 */
export class SseSessions {
  readonly #options: SseSessionsOptions;
  readonly #open = new Map<string, Open>();

  constructor(options: SseSessionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Answers one request: a GET opens a session, a POST is a message of one. `path` is where both go. */
  async handle(incoming: IncomingMessage, outgoing: ServerResponse, path: string, session: SseSession): Promise<void> {
    if (incoming.method === "GET") return this.#begin(outgoing, path, session);
    const id = new URL(incoming.url ?? "/", "http://firebreak").searchParams.get(QUERY);
    // Without a session: a newer client that tries this first goes on to the GET when it is refused so.
    if (incoming.method !== "POST" || id === null) {
      incoming.resume();
      const message = "Method not allowed: a session begins with GET";
      return answer(outgoing, refuse(405, { code: RPC_ERROR.transport, message }, { headers: { allow: "GET" } }));
    }
    await this.#take(incoming, outgoing, id, session);
  }

  tellUpdated(place: string, uri: string): void {
    this.#tell(place, (server, { subscriptions }) =>
      subscriptions.has(uri) ? server.sendResourceUpdated({ uri }) : undefined,
    );
  }

  /** Tools, prompts and resources may be others than they were. */
  tellListsChanged(place: string): void {
    this.#tell(place, (server) => server.sendToolListChanged());
    this.#tell(place, (server) => server.sendPromptListChanged());
    this.#tell(place, (server) => server.sendResourceListChanged());
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ server }) => server.close()));
  }

  #tell(place: string, tell: (server: Server, session: Open) => Promise<void> | undefined): void {
    // A server that offers no prompts has none to tell of.
    for (const session of this.#open.values())
      if (session.place === place) void (async () => tell(session.server, session))().catch(() => {});
  }

  async #begin(outgoing: ServerResponse, path: string, session: SseSession): Promise<void> {
    const { maxSessions = MAX_SESSIONS, maxSessionsOfOne = MAX_SESSIONS_OF_ONE, onError } = this.#options;
    const ofOne = [...this.#open.values()].filter(({ principal }) => principal === session.principal).length;
    if (this.#open.size >= maxSessions || ofOne >= maxSessionsOfOne) {
      const message = "too many sessions are open at once";
      const refusal = refuse(503, { code: RPC_ERROR.transport, message }, { headers: { "retry-after": "10" } });
      return answer(outgoing, refusal);
    }
    const id = randomUUID();
    const transport = new SseTransport({ outgoing, endpoint: `${path}?${QUERY}=${id}` });
    const subscriptions = new Map<string, () => void>();
    const server = session.createServer(id, {
      subscribe: (uri) => {
        if (!subscriptions.has(uri) && subscriptions.size < MAX_SUBSCRIPTIONS)
          subscriptions.set(uri, session.watch([uri], { principal: session.principal, session: id }));
      },
      unsubscribe: (uri) => {
        subscriptions.get(uri)?.();
        subscriptions.delete(uri);
      },
      listed: () => {},
    });
    this.#open.set(id, { ...session, server, transport, subscriptions });
    const closeServer = server.onclose;
    server.onclose = () => {
      closeServer?.();
      this.#open.delete(id);
      for (const stop of subscriptions.values()) stop();
      session.onClosed(id);
    };
    server.onerror = onError;
    await server.connect(withLegacyErrors(transport));
  }

  async #take(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    id: string,
    { place, principal }: SseSession,
  ): Promise<void> {
    const session = this.#open.get(id);
    if (session === undefined || session.principal !== principal || session.place !== place) {
      incoming.resume();
      return answer(outgoing, refuse(404, { code: RPC_ERROR.sessionNotFound, message: "Session not found" }));
    }
    const read = await readMessage(incoming);
    if (read instanceof Response) return answer(outgoing, read);
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(read.value);
    } catch {
      const refusal = refuse(400, { code: RPC_ERROR.invalidRequest, message: "Invalid Request: no JSON-RPC message" });
      return answer(outgoing, refusal);
    }
    session.transport.onmessage?.(message);
    outgoing.writeHead(202, { "content-type": "text/plain" }).end("Accepted");
  }
}

async function answer(outgoing: ServerResponse, response: Response): Promise<void> {
  await respond(outgoing, response);
}
