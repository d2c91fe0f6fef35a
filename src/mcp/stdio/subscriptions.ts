import { isJSONRPCRequest, type JSONRPCMessage, type RequestId, type Server } from "@modelcontextprotocol/server";
import { readListenFilter } from "../resources/listen-filter.ts";
import { ResourceWatch } from "../resources/watch.ts";
import type { SubscriptionHooks } from "../subscription-hooks.ts";
import type { VmClient } from "../vm-client.ts";

/** What one client on a stream wants to hear of, in either era. */
export class StreamSubscriptions implements SubscriptionHooks {
  readonly #watch: ResourceWatch;
  readonly #stops = new Map<RequestId, () => void>();
  #stopList: (() => void) | undefined;
  /** The server that speaks to the client: news go out through it. */
  server: Server | undefined;

  constructor(client: () => Promise<VmClient>) {
    this.#watch = new ResourceWatch({
      client,
      onUpdated: (uri) => void this.server?.sendResourceUpdated({ uri }).catch(() => {}),
      onListChanged: () => void this.server?.sendResourceListChanged().catch(() => {}),
    });
  }

  subscribe(uri: string): void {
    this.#hold(uri, () => this.#watch.watch([uri]));
  }

  unsubscribe(uri: string): void {
    this.#release(uri);
  }

  listed(): void {
    this.#stopList ??= this.#watch.watchList();
  }

  /** A modern client asks by a request that stays open until it is cancelled; the SDK answers it, and routes what goes out. */
  note(message: JSONRPCMessage): void {
    if (isJSONRPCRequest(message)) {
      const filter = readListenFilter(message);
      if (filter === undefined) return;
      this.#hold(message.id, () => {
        const stops = [this.#watch.watch(filter.uris), ...(filter.wantsList ? [this.#watch.watchList()] : [])];
        return () => {
          for (const stop of stops) stop();
        };
      });
    } else if ("method" in message && message.method === "notifications/cancelled") {
      const id = message.params?.requestId;
      if (typeof id === "string" || typeof id === "number") this.#release(id);
    }
  }

  close(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
    this.#stopList?.();
  }

  #hold(key: RequestId, begin: () => () => void): void {
    if (!this.#stops.has(key)) this.#stops.set(key, begin());
  }

  #release(key: RequestId): void {
    this.#stops.get(key)?.();
    this.#stops.delete(key);
  }
}
