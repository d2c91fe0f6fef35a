import type { IncomingMessage, ServerResponse } from "node:http";
import { createMcpHandler, isLegacyRequest, type Server } from "@modelcontextprotocol/server";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import { readListenFilter } from "../resources/listen-filter.ts";
import type { SubscriptionHooks } from "../subscription-hooks.ts";
import { readTaskListen } from "../task/news.ts";
import type { VmClient } from "../vm-client.ts";
import { RPC_ERROR, refuse } from "./answers.ts";
import { LegacySessions } from "./legacy-sessions.ts";
import { readMessage } from "./request-body.ts";
import { respond } from "./respond.ts";
import type { McpSessionStore } from "./session-store.ts";
import { respondWithTasks } from "./task-news.ts";

const KEEP_ALIVE_MS = 15_000;
/** Tells of changes of the resources that clients have asked for; resources/watch.ts is one. */
export interface ResourceChanges {
  /** Calls back on a change of one of these, until it is called off. */
  watch: (uris: readonly string[], watcher: Pick<ServerContext, "principal" | "session">) => () => void;
  /** Calls back on a change of the list, until it is called off. */
  watchList: () => () => void;
}

export interface ServerContext {
  /** Whose calls it serves: what authentication found out. */
  principal: string;
  /** The URL's query, with its '?': which tools are wanted. */
  query: string;
  hooks?: SubscriptionHooks;
  /** A legacy client's session. */
  session?: string;
}

/** Tells clients of changes of what there is besides resources. */
export interface ListNotifier {
  toolsChanged: () => void;
  promptsChanged: () => void;
}

export interface McpEndpointOptions {
  /** A server for one modern request, or for one legacy session, whose subscriptions it passes to `hooks`. */
  createServer: (context: ServerContext) => Server;
  /** Throws INVALID_ARGUMENT on a query that no server can be made for. */
  checkQuery: (query: string) => void;
  /** The daemon as a caller may ask it for tasks; undefined where there are none among the tools. */
  tasksOf?: (context: ServerContext) => (() => Promise<VmClient>) | undefined;
  createChanges: (listener: { onUpdated: (uri: string) => void; onListChanged: () => void }) => ResourceChanges;
  store: McpSessionStore;
  onError?: (error: Error) => void;
  /** A legacy client's session is over for good. */
  onSessionEnded?: ((session: string) => void) | undefined;
  /** How long a legacy client whose connection broke may take to read on, ms. */
  graceMs?: number;
  /** Sessions of legacy clients that are held in memory at once; others are in the store alone. */
  maxLoaded?: number;
}

/**
 * MCP over Streamable HTTP, for clients of both eras: each modern request is served by itself, each legacy client has a session. Who
 * may call, and under which Host and Origin, has been decided before.
 */
export class McpEndpoint {
  readonly #modern: ReturnType<typeof createMcpHandler>;
  readonly #legacy: LegacySessions;
  readonly #changes: ResourceChanges;
  readonly #tasksOf: NonNullable<McpEndpointOptions["tasksOf"]>;
  readonly #checkQuery: (query: string) => void;
  readonly #contexts = new WeakMap<Request, ServerContext>();

  constructor(options: McpEndpointOptions) {
    const { createServer, createChanges, store, onError = () => {}, graceMs, maxLoaded } = options;
    this.#checkQuery = options.checkQuery;
    this.#tasksOf = options.tasksOf ?? (() => undefined);
    this.#modern = createMcpHandler(
      // The SDK hands the factory the request that it was given.
      ({ requestInfo }) => createServer(this.#contexts.get(requestInfo as Request) as ServerContext),
      { legacy: "reject", keepAliveMs: KEEP_ALIVE_MS, onerror: onError },
    );
    this.#changes = createChanges({
      onUpdated: (uri) => {
        this.#modern.notify.resourceUpdated(uri);
        this.#legacy.tellUpdated(uri);
      },
      onListChanged: () => {
        this.#modern.notify.resourcesChanged();
        this.#legacy.tellListChanged();
      },
    });
    this.#legacy = new LegacySessions({
      createServer,
      store,
      watch: (uris, watcher) => this.#changes.watch(uris, watcher),
      watchList: () => this.#changes.watchList(),
      onError,
      onSessionEnded: options.onSessionEnded,
      ...(graceMs === undefined ? {} : { graceMs }),
      ...(maxLoaded === undefined ? {} : { maxLoaded }),
    });
  }

  /** Answers one request. `principal` is whose sessions it may use: what authentication found out. */
  async handle(incoming: IncomingMessage, outgoing: ServerResponse, principal: string): Promise<void> {
    const method = incoming.method ?? "";
    if (method !== "POST" && method !== "GET" && method !== "DELETE") {
      const headers = { allow: "POST, GET, DELETE" };
      return void (await respond(
        outgoing,
        refuse(405, { code: RPC_ERROR.transport, message: "Method not allowed" }, { headers }),
      ));
    }
    const gone = new AbortController();
    // An abort costs a stack trace: it is for those that hang up.
    outgoing.once("close", () => outgoing.writableFinished || gone.abort());
    const message = method === "POST" ? await readMessage(incoming) : undefined;
    if (message instanceof Response) return void (await respond(outgoing, message));
    const request = toRequest(incoming, gone.signal);
    const fault = this.#findFault(new URL(request.url).search);
    if (fault !== undefined) return void (await respond(outgoing, fault));
    if (await isLegacyRequest(request, message?.value)) {
      await this.#legacy.handle(request, message?.value, outgoing, principal);
      return;
    }
    const context = { principal, query: new URL(request.url).search };
    const tasks = this.#tasksOf(context);
    const listen = readTaskListen(message?.value);
    if (listen?.failure !== undefined)
      return void (await respond(outgoing, refuse(400, listen.failure, { id: listen.id })));
    this.#contexts.set(request, context);
    const stopWatching = this.#watchFor(message?.value, principal);
    const answer = (value: unknown) => this.#modern.fetch(request, message === undefined ? {} : { parsedBody: value });
    try {
      const response =
        tasks === undefined || listen === undefined
          ? answer(message?.value)
          : respondWithTasks({ listen, message: message?.value, client: tasks, answer });
      await respond(outgoing, await response);
    } finally {
      stopWatching();
    }
  }

  /** For whoever changes what is offered while it is served. */
  get notify(): ListNotifier {
    return {
      toolsChanged: () => {
        this.#modern.notify.toolsChanged();
        this.#legacy.tellAll((server) => server.sendToolListChanged());
      },
      promptsChanged: () => {
        this.#modern.notify.promptsChanged();
        this.#legacy.tellAll((server) => server.sendPromptListChanged());
      },
    };
  }

  /** Ends all streams and calls under way; legacy sessions are found again in the store. */
  async close(): Promise<void> {
    await Promise.all([this.#modern.close(), this.#legacy.close()]);
  }

  #findFault(query: string): Response | undefined {
    try {
      this.#checkQuery(query);
      return undefined;
    } catch (thrown) {
      const { message, hint } = toFirebreakError(thrown);
      const text = hint === undefined ? message : `${message}: ${hint}`;
      return refuse(400, { code: RPC_ERROR.invalidRequest, message: text });
    }
  }

  /** What a modern client's `subscriptions/listen` wants to hear of is looked after for as long as its stream is open. */
  #watchFor(message: unknown, principal: string): () => void {
    const filter = readListenFilter(message);
    if (filter === undefined) return () => {};
    const stops = [
      this.#changes.watch(filter.uris, { principal }),
      ...(filter.wantsList ? [this.#changes.watchList()] : []),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined) headers.append(name, item);
  }
  // The authority is of no use to anybody here, and may be no URL's.
  return new Request(new URL(incoming.url ?? "/", "http://firebreak"), {
    method: incoming.method ?? "POST",
    headers,
    signal,
  });
}
