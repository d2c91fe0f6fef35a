import { setTimeout as sleep } from "node:timers/promises";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import { Coalesced } from "./coalesce.ts";
import { RpcError } from "./rpc/messages.ts";
import type { Gateway } from "./service.ts";
import type { UpstreamSession } from "./upstream/session.ts";

/** News of one resource come no quicker than this one after another. */
const LEAST_GAP_MS = 100;
/** A server that is lost is asked again, ever less often while it does not work. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** Who wants to hear: of a server that has a VM for each session, that of its own. */
export interface Watcher {
  principal: string;
  session?: string | undefined;
}

export interface GatewayWatchOptions {
  gateway: Gateway;
  /** The server that a resource is of; undefined for none of these. */
  serverOf: (uri: string) => string | undefined;
  /** Whether changes of what a server offers are told of here. */
  isShown: (server: string) => boolean;
  onUpdated: (uri: string) => void;
  onListChanged: () => void;
  log: (message: string, fields: Record<string, unknown>) => void;
}

interface Watched {
  uri: string;
  key: string | undefined;
  count: number;
  aborter: AbortController;
  news: Coalesced;
}

/** Has servers tell of changes of their resources, for as long as a client wants to hear of them. A server that is listened to does not stop for being idle. */
export class GatewayWatch {
  readonly #options: GatewayWatchOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: GatewayWatchOptions) {
    this.#options = options;
    options.gateway.listen({
      onResourceUpdated: (server, uri, key) => {
        if (options.serverOf(uri) !== server) return;
        // One session with a server that runs elsewhere may be several principals'.
        const isOfAll = options.gateway.configOf(server).kind === "remote";
        for (const watched of this.#watched.values())
          if (watched.uri === uri && (isOfAll || watched.key === key)) watched.news.ask();
      },
      onOffersChanged: (server) => {
        if (options.isShown(server)) options.onListChanged();
      },
    });
  }

  watch = (uris: readonly string[], watcher: Watcher): (() => void) => {
    const { gateway, serverOf } = this.#options;
    const mine = [...new Set(uris)].flatMap((uri) => {
      const server = serverOf(uri);
      return server === undefined ? [] : [{ uri, server, key: gateway.keyOf(server, watcher) }];
    });
    for (const { uri, server, key } of mine) this.#add(uri, server, key);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      for (const { uri, key } of mine) this.#remove(nameOf(uri, key));
    };
  };

  /** What is offered changes when a server says so, which is heard of in any case. */
  watchList = (): (() => void) => () => {};

  #add(uri: string, server: string, key: string | undefined): void {
    const existing = this.#watched.get(nameOf(uri, key));
    if (existing !== undefined) {
      existing.count++;
      return;
    }
    const aborter = new AbortController();
    const news = new Coalesced(async () => this.#options.onUpdated(uri), LEAST_GAP_MS);
    this.#watched.set(nameOf(uri, key), { uri, key, count: 1, aborter, news });
    void this.#follow(uri, server, key, aborter.signal);
  }

  #remove(name: string): void {
    const watched = this.#watched.get(name);
    if (watched === undefined || --watched.count > 0) return;
    this.#watched.delete(name);
    watched.aborter.abort();
  }

  /**
   * A server that has ended knows nothing of who listens to it: the one that comes after it is asked again, unless its configuration gives
   * clients other VMs by now.
   */
  async #follow(uri: string, server: string, key: string | undefined, signal: AbortSignal): Promise<void> {
    const { gateway, log } = this.#options;
    const isOfKind = () => (gateway.keyOf(server, { principal: "" }) === undefined) === (key === undefined);
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted && isOfKind(); retryMs = Math.min(2 * retryMs, MAX_RETRY_MS)) {
      try {
        await gateway.managed(server).use(key, { signal }, ({ session }) => subscribe(session, uri, signal));
        retryMs = FIRST_RETRY_MS;
      } catch (thrown) {
        if (signal.aborted) return;
        log("a server does not tell of a resource", { server, uri, error: toFirebreakError(thrown).message });
        if (thrown instanceof RpcError) return;
      }
      await sleep(retryMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}

/** Resolves when it is called off, or the server has ended. */
async function subscribe(session: UpstreamSession, uri: string, signal: AbortSignal): Promise<void> {
  if (session.terms.era === "modern") {
    // It ends with the signal, by which the server hears of it.
    await session.request("subscriptions/listen", { notifications: { resourceSubscriptions: [uri] } }, { signal });
    return;
  }
  await session.request("resources/subscribe", { uri }, { signal });
  const calledOff = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([calledOff, session.ended]);
  if (!session.isClosed) await session.request("resources/unsubscribe", { uri }, { timeoutMs: MAX_RETRY_MS });
}

const nameOf = (uri: string, key: string | undefined) => JSON.stringify([uri, key]);
