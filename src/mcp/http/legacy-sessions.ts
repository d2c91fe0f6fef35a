import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { isInitializeRequest, type RequestId, type Server } from "@modelcontextprotocol/server";
import type { SubscriptionHooks } from "../subscription-hooks.ts";
import { RPC_ERROR, refuse } from "./answers.ts";
import { LegacySession } from "./legacy-session.ts";
import { respond } from "./respond.ts";
import type { McpSessionRecord, McpSessionStore } from "./session-store.ts";

/** Unused for so long, a session is gone for its client, too, ms. */
const EXPIRY_MS = 7 * 24 * 3_600_000;
/** Sessions that can be gone on with; the least recently used go first. */
const MAX_SESSIONS = 4_096;
/** Unused for so long, a session is kept in the store alone, ms. */
const UNLOAD_MS = 10 * 60_000;
const MAX_LOADED = 256;
const SWEEP_MS = 60_000;
/** How exact the time of a session's last use is kept, ms: each change is written to disk. */
const USE_STEP_MS = 60_000;
/** A client's `initialize` is kept; no real one is longer, characters. */
const MAX_INITIALIZE_LENGTH = 64 * 1024;
const MAX_SUBSCRIPTIONS = 256;

export interface LegacySessionsOptions {
  createServer: (context: { principal: string; query: string; hooks: SubscriptionHooks; session: string }) => Server;
  store: McpSessionStore;
  /** Sees to it that changes of these resources are told of, until it is called off. */
  watch: (uris: readonly string[], watcher: { principal: string; session: string }) => () => void;
  /** The same for what resources there are. */
  watchList: () => () => void;
  onError: (error: Error) => void;
  /** A session cannot be gone on with any more: its client has ended it, or has not come back for too long. */
  onSessionEnded?: ((session: string) => void) | undefined;
  graceMs?: number;
  maxLoaded?: number;
}

interface Loaded {
  session: LegacySession;
  principal: string;
  subscriptions: Set<string>;
  stopWatching: () => void;
  stopWatchingList?: () => void;
  notedMs: number;
}

/** The sessions of all legacy clients of one endpoint. One that is not loaded is found again in the store. */
export class LegacySessions {
  readonly #options: LegacySessionsOptions;
  readonly #loaded = new Map<string, Loaded>();
  readonly #loading = new Map<string, Promise<Loaded | undefined>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: LegacySessionsOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  get loadedCount(): number {
    return this.#loaded.size;
  }

  async handle(request: Request, body: unknown, outgoing: ServerResponse, principal: string): Promise<void> {
    const id = request.headers.get("mcp-session-id");
    if (id === null) return this.#open(request, body, outgoing, principal);
    if (!this.#loaded.has(id) && !this.#makeRoom()) return this.#refuseForRoom(outgoing);
    const loaded = await this.#find(id, principal);
    if (loaded === undefined) {
      const message = "Session not found";
      await respond(outgoing, refuse(404, { code: RPC_ERROR.sessionNotFound, message }));
      return;
    }
    this.#noteUse(id, loaded);
    if (request.method === "DELETE") this.#options.store.remove(id);
    await loaded.session.handle(request, body, outgoing);
    if (request.method === "DELETE") this.#options.onSessionEnded?.(id);
  }

  /** Tells the clients that asked for it that a resource has changed. */
  tellUpdated(uri: string): void {
    for (const { session, subscriptions } of this.#loaded.values()) {
      if (subscriptions.has(uri)) session.server.sendResourceUpdated({ uri }).catch(this.#options.onError);
    }
  }

  tellListChanged(): void {
    for (const { session, stopWatchingList } of this.#loaded.values()) {
      if (stopWatchingList !== undefined) session.server.sendResourceListChanged().catch(this.#options.onError);
    }
  }

  tellAll(tell: (server: Server) => Promise<void>): void {
    for (const { session } of this.#loaded.values()) tell(session.server).catch(this.#options.onError);
  }

  /** Lets go of all; they are found again in the store. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#loaded.values()].map(({ session }) => session.close()));
  }

  async #open(request: Request, body: unknown, outgoing: ServerResponse, principal: string): Promise<void> {
    if (request.method !== "POST" || !isInitializeRequest(body)) {
      const message =
        request.method === "POST"
          ? "Bad Request: a session begins with initialize; later requests have its Mcp-Session-Id header"
          : "Method not allowed: without a session only POST is answered";
      const status = request.method === "POST" ? 400 : 405;
      const headers: Record<string, string> = status === 405 ? { allow: "POST" } : {};
      await respond(outgoing, refuse(status, { code: RPC_ERROR.transport, message }, { headers }));
      return;
    }
    const { id = null } = body as { id?: RequestId };
    const initialize = body.params as Record<string, unknown>;
    if (JSON.stringify(initialize).length > MAX_INITIALIZE_LENGTH) {
      const message = `the parameters of initialize are at most ${MAX_INITIALIZE_LENGTH} characters`;
      await respond(outgoing, refuse(400, { code: RPC_ERROR.invalidRequest, message }, { id }));
      return;
    }
    if (!this.#makeRoom()) return this.#refuseForRoom(outgoing, id);
    const now = new Date().toISOString();
    const record: McpSessionRecord = {
      id: randomUUID(),
      principal,
      query: new URL(request.url).search,
      initialize,
      subscriptions: [],
      createdAt: now,
      usedAt: now,
    };
    // Written before it is acted on: a client that has an id finds its session again, whatever becomes of this process.
    this.#options.store.insert(record);
    const loaded = await this.#load(record, (options) => LegacySession.open(options));
    await loaded.session.handle(request, body, outgoing);
  }

  async #refuseForRoom(outgoing: ServerResponse, id: RequestId | null = null): Promise<void> {
    const message = "too many sessions are in use at once";
    const headers = { "retry-after": "10" };
    await respond(outgoing, refuse(503, { code: RPC_ERROR.transport, message }, { id, headers }));
  }

  async #find(id: string, principal: string): Promise<Loaded | undefined> {
    const loaded = this.#loaded.get(id) ?? (await this.#restore(id));
    return loaded?.principal === principal ? loaded : undefined;
  }

  /** Two requests at once find one and the same session. */
  #restore(id: string): Promise<Loaded | undefined> {
    const underWay = this.#loading.get(id);
    if (underWay !== undefined) return underWay;
    const record = this.#options.store.get(id);
    if (record === undefined) return Promise.resolve(undefined);
    const restored = this.#load(record, (options) => LegacySession.restore(record, options)).finally(() =>
      this.#loading.delete(id),
    );
    this.#loading.set(id, restored);
    return restored;
  }

  async #load(
    record: McpSessionRecord,
    open: (options: Parameters<typeof LegacySession.open>[0]) => Promise<LegacySession>,
  ): Promise<Loaded> {
    const { id } = record;
    const { createServer, store, watch, watchList, onError, graceMs } = this.#options;
    const subscriptions = new Set<string>(record.subscriptions);
    const watcher = { principal: record.principal, session: id };
    const loaded: Partial<Loaded> = { principal: record.principal, subscriptions, notedMs: Date.now() };
    const change = (isMore: boolean, uri: string) => {
      if (subscriptions.has(uri) === isMore) return;
      if (isMore && subscriptions.size >= MAX_SUBSCRIPTIONS)
        throw new RangeError(`a session has at most ${MAX_SUBSCRIPTIONS} subscriptions`);
      if (isMore) subscriptions.add(uri);
      else subscriptions.delete(uri);
      store.update(id, { subscriptions: [...subscriptions] });
      loaded.stopWatching?.();
      loaded.stopWatching = watch([...subscriptions], watcher);
    };
    const hooks = {
      subscribe: (uri: string) => change(true, uri),
      unsubscribe: (uri: string) => change(false, uri),
      listed: () => {
        loaded.stopWatchingList ??= watchList();
      },
    };
    loaded.session = await open({
      id,
      server: createServer({ principal: record.principal, query: record.query, hooks, session: id }),
      onClosed: () => {
        loaded.stopWatching?.();
        loaded.stopWatchingList?.();
        if (this.#loaded.get(id) === loaded) this.#loaded.delete(id);
      },
      onError,
      ...(graceMs === undefined ? {} : { graceMs }),
    });
    loaded.stopWatching = watch([...subscriptions], watcher);
    this.#loaded.set(id, loaded as Loaded);
    return loaded as Loaded;
  }

  #noteUse(id: string, loaded: Loaded): void {
    const nowMs = Date.now();
    if (nowMs - loaded.notedMs < USE_STEP_MS) return;
    loaded.notedMs = nowMs;
    this.#options.store.update(id, { usedAt: new Date(nowMs).toISOString() });
  }

  /** Whether one more session may be loaded; lets go of the one that has been idle for longest if it has to. */
  #makeRoom(): boolean {
    if (this.#loaded.size < (this.#options.maxLoaded ?? MAX_LOADED)) return true;
    const idle = [...this.#loaded.values()].filter(({ session }) => session.isIdle);
    const oldest = idle.sort((a, b) => a.session.usedMs - b.session.usedMs)[0];
    if (oldest === undefined) return false;
    this.#unload(oldest);
    return true;
  }

  #sweep(): void {
    const nowMs = Date.now();
    for (const loaded of this.#loaded.values()) {
      if (loaded.session.isIdle && nowMs - loaded.session.usedMs > UNLOAD_MS) this.#unload(loaded);
    }
    for (const id of this.#options.store.listExpired(new Date(nowMs - EXPIRY_MS).toISOString(), MAX_SESSIONS)) {
      if (this.#loaded.has(id)) continue;
      this.#options.store.remove(id);
      this.#options.onSessionEnded?.(id);
    }
  }

  #unload({ session }: Loaded): void {
    this.#loaded.delete(session.id);
    session.close().catch(this.#options.onError);
  }
}
