import type { IncomingMessage, ServerResponse } from "node:http";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Gateway } from "../gateway/service.ts";
import type { GatewayWatch } from "../gateway/watch.ts";
import type { McpEndpoint } from "../mcp/http/endpoint.ts";
import type { McpSessionStore } from "../mcp/http/session-store.ts";
import type { SseSessions } from "../mcp/sse/sessions.ts";
import type { Caller } from "./api/context.ts";
import { principalOf } from "./mcp-front.ts";

export interface ServerFrontOptions {
  gateway: Gateway;
  store: McpSessionStore;
  log: (message: string, fields: Record<string, unknown>) => void;
}

interface OldClients {
  sessions: SseSessions;
  /** By the server: has it tell of changes of its resources. */
  watches: Map<string, GatewayWatch>;
}

/** The MCP endpoint of each server, `/servers/NAME/mcp`, and `/servers/NAME/sse` for old clients: made with its first request. */
export class ServerFront {
  readonly #options: ServerFrontOptions;
  readonly #endpoints = new Map<string, Promise<McpEndpoint>>();
  #old: Promise<OldClients> | undefined;

  constructor(options: ServerFrontOptions) {
    this.#options = options;
    options.gateway.listen({
      onOffersChanged: (server) => {
        void this.#endpoints.get(server)?.then(({ notify }) => {
          notify.toolsChanged();
          notify.promptsChanged();
        });
        void this.#old?.then(({ sessions }) => sessions.tellListsChanged(server));
      },
    });
  }

  async handle(server: string, incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void> {
    if (!(await this.#prepare(server, outgoing))) return;
    const endpoint = this.#endpoints.get(server) ?? this.#create(server);
    this.#endpoints.set(server, endpoint);
    await (await endpoint).handle(incoming, outgoing, `${server} ${principalOf(caller)}`);
  }

  /** The same for clients that know the transport of 2024 only: GET opens a stream, and POST goes to where that says. */
  async handleSse(server: string, incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void> {
    if (!(await this.#prepare(server, outgoing))) return;
    const { gateway } = this.#options;
    this.#old ??= this.#createOld();
    const { sessions, watches } = await this.#old;
    const { createEndpointServer } = await import("../gateway/endpoint-server.ts");
    const { GatewayWatch } = await import("../gateway/watch.ts");
    const watch =
      watches.get(server) ??
      new GatewayWatch({
        gateway,
        serverOf: () => server,
        // Changes of lists are told of to all clients of the old transport.
        isShown: () => false,
        log: this.#options.log,
        onUpdated: (uri) => sessions.tellUpdated(server, uri),
        onListChanged: () => {},
      });
    watches.set(server, watch);
    const principal = `${server} ${principalOf(caller)}`;
    await sessions.handle(incoming, outgoing, `/servers/${server}/sse`, {
      place: server,
      principal,
      createServer: (session, hooks) =>
        createEndpointServer({ gateway, server, caller: { principal, session }, hooks }),
      watch: watch.watch,
      onClosed: (session) => gateway.endSession(session),
    });
  }

  async close(): Promise<void> {
    await (await this.#old)?.sessions.close();
    await Promise.all([...this.#endpoints.values()].map(async (endpoint) => (await endpoint).close()));
    this.#endpoints.clear();
  }

  /** What a server can do is known once it has been started; that is done once. Returns whether it could be, and has answered if not. */
  async #prepare(server: string, outgoing: ServerResponse): Promise<boolean> {
    const { gateway } = this.#options;
    try {
      await gateway.require(server);
      return true;
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      const retryMs = error.details?.retryAfterMs;
      outgoing.writeHead(error.httpStatus, {
        "content-type": "application/json",
        ...(typeof retryMs === "number" ? { "retry-after": String(Math.ceil(retryMs / 1_000)) } : {}),
      });
      outgoing.end(JSON.stringify({ error: error.toBody() }));
      return false;
    }
  }

  async #createOld(): Promise<OldClients> {
    const { SseSessions } = await import("../mcp/sse/sessions.ts");
    const onError = (error: Error) =>
      this.#options.log("MCP over SSE: a message was refused or lost", { error: error.message });
    return { sessions: new SseSessions({ onError }), watches: new Map() };
  }

  async #create(server: string): Promise<McpEndpoint> {
    const { gateway, store, log } = this.#options;
    const { McpEndpoint } = await import("../mcp/http/endpoint.ts");
    const { createEndpointServer } = await import("../gateway/endpoint-server.ts");
    const { GatewayWatch } = await import("../gateway/watch.ts");
    return new McpEndpoint({
      createServer: ({ principal, session, hooks }) =>
        createEndpointServer({ gateway, server, caller: { principal, session }, hooks }),
      checkQuery: () => {},
      createChanges: (listener) =>
        new GatewayWatch({ gateway, serverOf: () => server, isShown: (name) => name === server, log, ...listener }),
      onSessionEnded: (session) => gateway.endSession(session),
      store,
      onError: (error) => log("MCP: a message was refused or lost", { server, error: error.message }),
    });
  }
}
