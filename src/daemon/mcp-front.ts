import { Agent, type IncomingMessage, type ServerResponse } from "node:http";
import { DaemonClient } from "../client/daemon-client.ts";
import { SocketEndpoint } from "../client/socket-endpoint.ts";
import type { Gateway } from "../gateway/service.ts";
import type { ExtrasCaller } from "../mcp/extras.ts";
import type { McpEndpoint } from "../mcp/http/endpoint.ts";
import type { McpSessionStore } from "../mcp/http/session-store.ts";
import type { Caller } from "./api/context.ts";

export interface McpFrontOptions {
  /** The daemon's own socket: MCP's tools use the API that all other callers use. */
  socketPath: string;
  store: McpSessionStore;
  version: string;
  /** Whose servers' tools are offered besides firebreak's own. */
  gateway: Gateway;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** Whose sessions a caller may use. */
export const principalOf = (caller: Caller) => (caller.via === "socket" ? "local" : JSON.stringify(caller.key));

/** The MCP endpoint `/mcp`. A daemon that nobody speaks MCP to does without the code for it, and its memory. */
export class McpFront {
  readonly #options: McpFrontOptions;
  readonly #ending = new AbortController();
  #endpoint: Promise<McpEndpoint> | undefined;

  constructor(options: McpFrontOptions) {
    this.#options = options;
  }

  async handle(incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void> {
    this.#endpoint ??= this.#create();
    await (await this.#endpoint).handle(incoming, outgoing, principalOf(caller));
  }

  /** Ends calls and streams; sessions are found again by the next daemon. */
  async close(): Promise<void> {
    this.#ending.abort();
    await (await this.#endpoint)?.close();
  }

  async #create(): Promise<McpEndpoint> {
    const { socketPath, store, version, gateway, log } = this.#options;
    const { createEndpoint } = await import("../mcp/http/create.ts");
    const { GatewayView } = await import("../gateway/view.ts");
    const { GatewayWatch } = await import("../gateway/watch.ts");
    const viewFor = (caller: ExtrasCaller) =>
      new GatewayView({ gateway, servers: () => gateway.offered, isPrefixed: true, caller });
    const nobody = viewFor({
      principal: "",
      session: undefined,
      capabilities: () => ({}),
      info: () => undefined,
      logLevel: () => undefined,
    });
    const agent = new Agent({ keepAlive: true });
    const own = new DaemonClient(new SocketEndpoint(socketPath, { agent }));
    return createEndpoint({
      store,
      connect: async (principal) =>
        principal === "local"
          ? own
          : new DaemonClient(new SocketEndpoint(socketPath, { onBehalfOf: JSON.parse(principal), agent })),
      peek: async () => own,
      version,
      endingSignal: this.#ending.signal,
      onError: (error) => log("MCP: a message was refused or lost", { error: error.message }),
      createExtras: (notify) => {
        gateway.listen({
          onOffersChanged: () => {
            notify.toolsChanged();
            notify.promptsChanged();
          },
        });
        return viewFor;
      },
      createExtraChanges: (listener) =>
        new GatewayWatch({
          gateway,
          serverOf: (uri) => nobody.serverOfResource(uri),
          isShown: () => true,
          log,
          ...listener,
        }),
      onSessionEnded: (session) => gateway.endSession(session),
    });
  }
}
