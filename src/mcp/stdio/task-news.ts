import type { JSONRPCMessage, RequestId, Transport, TransportSendOptions } from "@modelcontextprotocol/server";
import {
  acknowledgeTasks,
  findTasks,
  readTaskListen,
  SUBSCRIPTION_ID,
  type TaskListen,
  watchTasks,
} from "../task/news.ts";
import type { VmClient } from "../vm-client.ts";

/** A stream on which clients hear of tasks, too: what they ask for and are told of them goes past the SDK's server, which has no part in it. */
export class TaskNewsTransport implements Transport {
  readonly #inner: Transport;
  readonly #client: () => Promise<VmClient>;
  /** Subscriptions that were asked for, with the tasks that there are once that is known. */
  readonly #asked = new Map<RequestId, TaskListen>();
  readonly #stops = new Map<RequestId, () => void>();

  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: Transport["onmessage"];

  constructor(inner: Transport, client: () => Promise<VmClient>) {
    this.#inner = inner;
    this.#client = client;
    inner.onclose = () => {
      this.#end();
      this.onclose?.();
    };
    inner.onerror = (error) => this.onerror?.(error);
    inner.onmessage = (message, extra) => void this.#take(message, () => this.onmessage?.(message, extra));
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  close(): Promise<void> {
    this.#end();
    return this.#inner.close();
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const listen = this.#asked.get(acknowledgedBy(message) ?? "");
    if (listen === undefined) return this.#inner.send(message, options);
    this.#asked.delete(listen.id);
    const tell: Parameters<typeof watchTasks>[0]["tell"] = (note) => void this.#inner.send(note).catch(() => {});
    this.#stops.set(listen.id, watchTasks({ listen, client: this.#client, tell }));
    await this.#inner.send(acknowledgeTasks(message, listen.taskIds), options);
  }

  async #take(message: JSONRPCMessage, pass: () => void): Promise<void> {
    const cancelled = "method" in message && message.method === "notifications/cancelled" && message.params?.requestId;
    if (typeof cancelled === "string" || typeof cancelled === "number") this.#stop(cancelled);
    const listen = readTaskListen(message);
    if (listen === undefined) return pass();
    const { id, failure } = listen;
    if (failure !== undefined) return void this.#inner.send({ jsonrpc: "2.0", id, error: failure }).catch(() => {});
    this.#stop(id);
    this.#asked.set(id, listen);
    const taskIds = await findTasks(listen.taskIds, this.#client);
    // It may have been cancelled meanwhile.
    if (this.#asked.get(id) !== listen) return;
    if (taskIds.length === 0) this.#asked.delete(id);
    else this.#asked.set(id, { id, taskIds });
    pass();
  }

  #stop(id: RequestId): void {
    this.#asked.delete(id);
    this.#stops.get(id)?.();
    this.#stops.delete(id);
  }

  #end(): void {
    for (const id of [...this.#asked.keys(), ...this.#stops.keys()]) this.#stop(id);
  }
}

/** The subscription that a message acknowledges. */
function acknowledgedBy(message: JSONRPCMessage): RequestId | undefined {
  if (!("method" in message) || message.method !== "notifications/subscriptions/acknowledged") return undefined;
  return message.params?._meta?.[SUBSCRIPTION_ID] as RequestId | undefined;
}
