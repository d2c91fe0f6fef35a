import type { IncomingMessage, ServerResponse } from "node:http";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Gateway } from "../gateway/service.ts";
import type { McpEndpoint } from "../mcp/http/endpoint.ts";
import type { McpSessionStore } from "../mcp/http/session-store.ts";
import type { Caller } from "./api/context.ts";
import { principalOf } from "./mcp-front.ts";

export interface ServerFrontOptions {
  gateway: Gateway;
  store: McpSessionStore;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The MCP endpoint of each server, `/servers/NAME/mcp`: made with its first request. */
export class ServerFront {
  readonly #options: ServerFrontOptions;
  readonly #endpoints = new Map<string, Promise<McpEndpoint>>();

  constructor(options: ServerFrontOptions) {
    this.#options = options;
    options.gateway.listen({
      onOffersChanged: (server) =>
        void this.#endpoints.get(server)?.then(({ notify }) => {
          notify.toolsChanged();
          notify.promptsChanged();
        }),
    });
  }

  async handle(server: string, incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void> {
    const { gateway } = this.#options;
    try {
      // What a server can do is known once it has been started; that is done once.
      await gateway.prepare(gateway.get(server).name);
    } catch (thrown) {
      const error = toFirebreakError(thrown);
      outgoing.writeHead(error.httpStatus, { "content-type": "application/json" });
      outgoing.end(JSON.stringify({ error: error.toBody() }));
      return;
    }
    const endpoint = this.#endpoints.get(server) ?? this.#create(server);
    this.#endpoints.set(server, endpoint);
    await (await endpoint).handle(incoming, outgoing, `${server} ${principalOf(caller)}`);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#endpoints.values()].map(async (endpoint) => (await endpoint).close()));
    this.#endpoints.clear();
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
