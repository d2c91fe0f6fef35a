import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Gateway } from "./service.ts";

export interface GatewayWatchOptions {
  gateway: Gateway;
  /** The server that a resource is of; undefined for none of these. */
  serverOf: (uri: string) => string | undefined;
  onUpdated: (uri: string) => void;
  onListChanged: () => void;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** Has servers tell of changes of their resources, for as long as a client wants to hear of them. A server that is listened to does not stop for being idle. */
export class GatewayWatch {
  readonly #options: GatewayWatchOptions;
  readonly #watched = new Map<string, { count: number; stop: () => void }>();

  constructor(options: GatewayWatchOptions) {
    this.#options = options;
    options.gateway.listen({
      onResourceUpdated: (server, uri) => {
        if (this.#watched.has(uri) && options.serverOf(uri) === server) options.onUpdated(uri);
      },
      onOffersChanged: () => options.onListChanged(),
    });
  }

  watch = (uris: readonly string[]): (() => void) => {
    const mine = [...new Set(uris)].filter((uri) => this.#options.serverOf(uri) !== undefined);
    for (const uri of mine) this.#add(uri);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      for (const uri of mine) this.#remove(uri);
    };
  };

  /** What is offered changes when a server says so, which is heard of in any case. */
  watchList = (): (() => void) => () => {};

  #add(uri: string): void {
    const existing = this.#watched.get(uri);
    if (existing !== undefined) {
      existing.count++;
      return;
    }
    const aborter = new AbortController();
    this.#watched.set(uri, { count: 1, stop: () => aborter.abort() });
    void this.#subscribe(uri, aborter.signal);
  }

  #remove(uri: string): void {
    const watched = this.#watched.get(uri);
    if (watched === undefined || --watched.count > 0) return;
    this.#watched.delete(uri);
    watched.stop();
  }

  async #subscribe(uri: string, signal: AbortSignal): Promise<void> {
    const { gateway, serverOf, log } = this.#options;
    const server = serverOf(uri);
    if (server === undefined) return;
    try {
      await gateway.managed(server).use(undefined, { signal }, async ({ session }) => {
        if (session.terms.era === "modern") {
          // It ends with the signal, by which the server hears of it.
          await session.request(
            "subscriptions/listen",
            { notifications: { resourceSubscriptions: [uri] } },
            { signal },
          );
          return;
        }
        await session.request("resources/subscribe", { uri }, { signal });
        if (!signal.aborted)
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        await session.request("resources/unsubscribe", { uri });
      });
    } catch (thrown) {
      if (!signal.aborted)
        log("a server does not tell of a resource", { server, uri, error: toFirebreakError(thrown).message });
    }
  }
}
