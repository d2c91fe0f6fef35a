import { randomInt } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { traceHeaders } from "../../telemetry/trace-context.ts";
import { MAX_LINE_BYTES } from "../rpc/lines.ts";
import { parseMessage, RpcError, type RpcErrorBody, type RpcId, type RpcMessage } from "../rpc/messages.ts";
import {
  canceled,
  late,
  MAX_INBOUND,
  MAX_PENDING,
  type Peer,
  preview,
  type RequestOptions,
  type RpcPeerOptions,
  toRpcError,
} from "../rpc/peer.ts";
import { requireQuestion } from "../upstream/session.ts";
import { readEvents } from "./event-stream.ts";
import { type HttpConnections, readErrorText, readText, typeOf } from "./exchange.ts";
import { errorOf, failed, malformed, statusOf } from "./fault.ts";
import { modernHeaders, revisionOf } from "./headers.ts";
import { mask, type Target } from "./target.ts";

const ACCEPT = "application/json, text/event-stream";
/** A request on whose answer nothing has come for so long is given up, unless the configuration has a time of its own. */
const SILENCE_MS = 10 * 60_000;
/** Of one answer's stream, news and questions included. */
const MAX_STREAM_BYTES = 64 * 1024 * 1024;
/** A stream that goes on behind its result is cut after so long; most end at once, and their connection is of use again. */
const LINGER_MS = 1_000;
/** Ends of a request's stream in a row, without anything new, after which it is not taken up again. */
const MAX_RESUMES = 5;
const [RETRY_MS, MAX_RETRY_MS] = [1_000, 60_000];
const SESSION_HEADER = "mcp-session-id";
const MAX_SUBSCRIPTIONS = 1_000;

export interface HttpPeerOptions extends RpcPeerOptions {
  /** Asked for each request: secrets may have changed. Throws SECRET_… */
  target: () => Target;
  connections: HttpConnections;
  /** The schema of a tool's arguments, some of which may want to be in headers. */
  schemaOf: (tool: string) => unknown;
  /** The server has forgotten the session, and there is a new one. */
  onRenewed?: () => void;
}

interface Exchange {
  id: RpcId;
  method: string;
  caller: RequestOptions["caller"];
  onProgress: RequestOptions["onProgress"];
  resolve: (result: Record<string, unknown>) => void;
  reject: (error: Error) => void;
  isSettled: boolean;
  /** Ends what carries it. */
  aborter: AbortController;
}

/** JSON-RPC with one MCP server over Streamable HTTP, in the terms of either era: each request is an exchange of its own. */
export class HttpPeer implements Peer {
  readonly #options: HttpPeerOptions;
  readonly #pending = new Map<RpcId, Exchange>();
  readonly #inbound = new Map<RpcId, AbortController>();
  readonly #ending = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  readonly #subscribed = new Set<string>();
  #nextId = randomInt(1, 2 ** 46);
  #session: string | undefined;
  #revision: string | undefined;
  #initialize: Record<string, unknown> | undefined;
  #renewing: Promise<void> | undefined;
  #isListening = false;

  constructor(options: HttpPeerOptions) {
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get isClosed(): boolean {
    return this.#ending.signal.aborted;
  }

  async request(method: string, params: Record<string, unknown>, options: RequestOptions = {}) {
    const { signal, onProgress, timeoutMs, caller, onId } = options;
    const { server } = this.#options;
    if (this.isClosed || signal?.aborted) throw canceled(server);
    if (this.#pending.size >= MAX_PENDING)
      throw new FirebreakError("SERVER_BUSY", `the server '${server}' has ${MAX_PENDING} calls under way`);
    const id = this.#nextId++;
    onId?.(id);
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
    promise.catch(() => {});
    const aborter = new AbortController();
    const exchange: Exchange = { id, method, caller, onProgress, resolve, reject, isSettled: false, aborter };
    this.#pending.set(id, exchange);
    const giveUp = (error: FirebreakError, reason: string) => {
      if (exchange.isSettled) return;
      this.#settle(exchange, () => reject(error));
      // The newer revision's server hears of it by the end of the stream.
      if (revisionOf(params) === undefined && method !== "initialize")
        this.notify("notifications/cancelled", { requestId: id, reason });
      aborter.abort();
    };
    const onAbort = () => giveUp(canceled(server), "the client has cancelled it");
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => giveUp(late(server, method, timeoutMs), "it took too long"), timeoutMs);
    const meta =
      onProgress === undefined ? {} : { _meta: { ...(params._meta as object | undefined), progressToken: id } };
    void this.#carry(exchange, { ...params, ...meta }, timeoutMs, giveUp).catch((error: Error) =>
      this.#settle(exchange, () => reject(error)),
    );
    try {
      const result = await promise;
      this.#keepInMind(method, params);
      return result;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#pending.delete(id);
    }
  }

  notify(method: string, params: Record<string, unknown> = {}): void {
    void this.#tell({ jsonrpc: "2.0", method, params }).catch(() => {});
  }

  /** Hears what a server of the older revisions says outside of any request, for as long as there is a session; once is enough. */
  listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    void this.#listen().catch((thrown: unknown) => this.#options.onNoise(toFirebreakError(thrown).message));
  }

  close(): void {
    this.#close(canceled(this.#options.server));
  }

  #close(error: FirebreakError): void {
    if (this.isClosed) return;
    const session = this.#session;
    this.#ending.abort();
    for (const exchange of this.#pending.values()) {
      this.#settle(exchange, () => exchange.reject(error));
      exchange.aborter.abort();
    }
    this.#pending.clear();
    for (const aborter of this.#inbound.values()) aborter.abort();
    void this.#endSession(session);
    this.#ended.resolve();
    this.#options.onClosed(error);
  }

  #settle(exchange: Exchange, how: () => void): void {
    if (exchange.isSettled) return;
    exchange.isSettled = true;
    this.#pending.delete(exchange.id);
    how();
  }

  /** Sends a request and reads on until it has its answer. */
  async #carry(
    exchange: Exchange,
    params: Record<string, unknown>,
    timeoutMs: number | undefined,
    giveUp: (error: FirebreakError, reason: string) => void,
  ): Promise<void> {
    const { server, schemaOf } = this.#options;
    const { id, method, aborter } = exchange;
    if (method === "initialize") this.#initialize = params;
    const revision = revisionOf(params);
    const schema = method === "tools/call" && typeof params.name === "string" ? schemaOf(params.name) : undefined;
    const headers = {
      ...traceHeaders(params),
      ...(revision === undefined ? {} : modernHeaders(method, params, revision, schema)),
    };
    const isStream = method === "subscriptions/listen";
    const silence =
      isStream || timeoutMs !== undefined
        ? undefined
        : setTimeout(() => giveUp(late(server, method, SILENCE_MS), "it took too long"), SILENCE_MS);
    let bytes = 0;
    const onBytes = (count: number) => {
      silence?.refresh();
      bytes += count;
      if (!isStream && bytes > MAX_STREAM_BYTES) throw malformed(server, `its answer to ${method} has no end`);
    };
    try {
      const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
      const response = await this.#post(body, headers, aborter.signal, method !== "initialize");
      if (method === "initialize") this.#session = headerOf(response, SESSION_HEADER);
      await this.#readAnswer(exchange, response, onBytes);
    } finally {
      clearTimeout(silence);
    }
  }

  async #readAnswer(exchange: Exchange, response: IncomingMessage, onBytes: (count: number) => void): Promise<void> {
    const { server } = this.#options;
    const type = typeOf(response);
    if (response.statusCode === 202 || response.statusCode === 204) {
      response.resume();
      throw malformed(server, `it answers ${exchange.method} with nothing (HTTP ${response.statusCode})`);
    }
    if (type === "application/json") {
      const text = await readText(response, MAX_LINE_BYTES, server, () =>
        malformed(server, `its answer to ${exchange.method} is of more than 16 MiB`),
      );
      this.#receive(text, exchange);
      if (!exchange.isSettled)
        throw malformed(server, `it answers ${exchange.method} with something that is no answer to it`);
      return;
    }
    if (type !== "text/event-stream") {
      response.destroy();
      throw malformed(
        server,
        `it answers ${exchange.method} with ${type === "" ? "something of no type" : type.slice(0, 100)}`,
      );
    }
    await this.#readStream(exchange, response, onBytes);
  }

  /** A stream may end before its answer has come: it is taken up again where it says how. */
  async #readStream(exchange: Exchange, first: IncomingMessage, onBytes: (count: number) => void): Promise<void> {
    const { server } = this.#options;
    let response = first;
    let lastId: string | undefined;
    let retryMs = RETRY_MS;
    for (let idle = 0; idle < MAX_RESUMES; idle++) {
      const begun = lastId;
      let fault: unknown;
      let lingering: NodeJS.Timeout | undefined;
      try {
        const options = { server, onBytes, onRetry: (afterMs: number) => (retryMs = Math.min(afterMs, MAX_RETRY_MS)) };
        for await (const { event, data, id } of readEvents(response, options)) {
          if (id !== undefined) lastId = id;
          if (event === "message" && data !== "") this.#receive(data, exchange);
          // Read on for a moment behind the result, so that the connection can be used again.
          if (exchange.isSettled) lingering ??= setTimeout(() => response.destroy(), LINGER_MS);
        }
      } catch (error) {
        if (exchange.isSettled) return;
        if (error instanceof FirebreakError && error.code === "SERVER_PROTOCOL_ERROR") throw error;
        fault = error;
      } finally {
        clearTimeout(lingering);
      }
      if (exchange.isSettled) return;
      if (lastId === undefined || this.#session === undefined)
        throw fault ?? failed(server, `ended its answer to ${exchange.method} without a result`);
      if (lastId !== begun) idle = 0;
      await sleep(retryMs, undefined, { signal: exchange.aborter.signal });
      response = await this.#get(exchange.aborter.signal, lastId);
    }
    throw failed(server, `ended its answer to ${exchange.method} again and again without a result`);
  }

  #receive(text: string, exchange: Exchange | undefined): void {
    const message = parseMessage(Buffer.from(text));
    if (message === undefined) return void this.#options.onNoise(preview(Buffer.from(text)));
    if (message.kind === "request") return void this.#answer(message, exchange);
    if (message.kind === "notification") return void this.#hear(message, exchange);
    const own = message.id === null ? exchange : this.#pending.get(message.id);
    if (own === undefined) return void this.#options.onNoise("an answer to what nobody asks");
    if (message.kind === "error") return void this.#settle(own, () => own.reject(new RpcError(message.error)));
    if (own.method === "initialize" && typeof message.result.protocolVersion === "string")
      this.#revision = message.result.protocolVersion;
    this.#settle(own, () => own.resolve(message.result));
  }

  #hear({ method, params }: { method: string; params: Record<string, unknown> }, exchange: Exchange | undefined): void {
    if (method === "notifications/progress") {
      const { progressToken, ...rest } = params;
      return void this.#pending.get(progressToken as RpcId)?.onProgress?.(rest);
    }
    if (method === "notifications/cancelled") return void this.#inbound.get(params.requestId as RpcId)?.abort();
    if (method === "notifications/message" && exchange?.caller !== undefined) return void exchange.caller.log(params);
    this.#options.onNotification(method, params);
  }

  /** What a server asks on the stream of a call is for that call's client. */
  async #answer({ id, method, params }: Extract<RpcMessage, { kind: "request" }>, exchange: Exchange | undefined) {
    // An answer is a request to the server: one that asks without end is not to have as many.
    if (this.#inbound.size >= MAX_INBOUND || this.#inbound.has(id))
      return void this.#options.onNoise("too many questions at once, or one twice");
    const aborter = new AbortController();
    this.#inbound.set(id, aborter);
    try {
      const body = await this.#answerTo(method, params, exchange, aborter.signal);
      await this.#tell({ jsonrpc: "2.0", id, ...body });
    } catch (thrown) {
      this.#options.onNoise(`an answer did not arrive: ${toFirebreakError(thrown).message}`);
    } finally {
      this.#inbound.delete(id);
    }
  }

  async #answerTo(
    method: string,
    params: Record<string, unknown>,
    exchange: Exchange | undefined,
    signal: AbortSignal,
  ): Promise<{ result: Record<string, unknown> } | { error: RpcErrorBody }> {
    if (method === "ping") return { result: {} };
    try {
      requireQuestion(method);
      const ask = exchange?.caller?.ask ?? this.#options.onRequest;
      return { result: await ask(method, params, signal) };
    } catch (thrown) {
      return { error: toRpcError(thrown) };
    }
  }

  /** Sends what has no answer. */
  async #tell(message: Record<string, unknown>): Promise<void> {
    const response = await this.#post(JSON.stringify(message), {}, this.#ending.signal, true);
    response.resume();
  }

  async #post(
    body: string,
    headers: Record<string, string>,
    signal: AbortSignal,
    canRenew: boolean,
  ): Promise<IncomingMessage> {
    const { connections, target, server } = this.#options;
    for (let attempt = 0; ; attempt++) {
      if (canRenew) await this.#renewing?.catch(() => {});
      if (signal.aborted) throw canceled(server);
      const session = this.#session;
      const goal = target();
      const response = await connections.send(goal, {
        method: "POST",
        headers: { ...this.#sessionHeaders(), ...headers, accept: ACCEPT, "content-type": "application/json" },
        body,
        signal,
      });
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      const text = mask(await readErrorText(response, server), goal.secrets);
      if (canRenew && attempt === 0 && session !== undefined && isForgotten(status, text)) {
        await this.#renew(session);
        continue;
      }
      throw errorOf(server, status, text);
    }
  }

  async #get(signal: AbortSignal, lastId?: string): Promise<IncomingMessage> {
    const { connections, target, server } = this.#options;
    const goal = target();
    const response = await connections.send(goal, {
      method: "GET",
      headers: {
        ...this.#sessionHeaders(),
        accept: "text/event-stream",
        ...(lastId === undefined ? {} : { "last-event-id": lastId.replaceAll(/[^\x20-\x7e]/g, "") }),
      },
      signal,
    });
    const status = response.statusCode ?? 0;
    if (status === 200 && typeOf(response) === "text/event-stream") return response;
    const text = mask(await readErrorText(response, server), goal.secrets);
    throw status === 200 ? malformed(server, "its stream is none") : errorOf(server, status, text);
  }

  #sessionHeaders(): Record<string, string> {
    return {
      ...(this.#session === undefined ? {} : { [SESSION_HEADER]: this.#session }),
      ...(this.#revision === undefined ? {} : { "mcp-protocol-version": this.#revision }),
    };
  }

  /** The server knows the session no more: a new one is made, once for all who meet that. */
  async #renew(stale: string): Promise<void> {
    if (this.#session !== stale) return;
    this.#renewing ??= this.#initializeAgain().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  async #initializeAgain(): Promise<void> {
    const { server, onRenewed } = this.#options;
    if (this.#initialize === undefined) throw failed(server, "has forgotten a session that was never made");
    this.#session = undefined;
    this.#revision = undefined;
    try {
      await this.request("initialize", this.#initialize, { timeoutMs: RENEW_TIMEOUT_MS });
      const body = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
      (await this.#post(body, {}, this.#ending.signal, false)).resume();
    } catch (thrown) {
      // The next use begins anew.
      this.#close(toFirebreakError(thrown));
      throw thrown;
    }
    for (const uri of this.#subscribed) void this.request("resources/subscribe", { uri }).catch(() => {});
    if (this.#isListening) {
      this.#isListening = false;
      this.listen();
    }
    onRenewed?.();
  }

  /** Subscriptions are a session's, and are made again with it. */
  #keepInMind(method: string, { uri }: Record<string, unknown>): void {
    if (typeof uri !== "string") return;
    if (method === "resources/subscribe" && this.#subscribed.size < MAX_SUBSCRIPTIONS) this.#subscribed.add(uri);
    if (method === "resources/unsubscribe") this.#subscribed.delete(uri);
  }

  async #listen(): Promise<void> {
    const { server } = this.#options;
    const { signal } = this.#ending;
    const session = this.#session;
    let delayMs = RETRY_MS;
    let lastId: string | undefined;
    while (!signal.aborted && this.#session === session) {
      let retryMs: number | undefined;
      try {
        const response = await this.#get(signal, lastId);
        for await (const event of readEvents(response, { server, onRetry: (afterMs) => (retryMs = afterMs) })) {
          delayMs = RETRY_MS;
          if (event.id !== undefined) lastId = event.id;
          if (this.#session !== session) return;
          if (event.event === "message" && event.data !== "") this.#receive(event.data, undefined);
        }
      } catch (thrown) {
        const status = statusOf(thrown);
        // Most servers have no such stream; one that has forgotten the session says so to the next request, too.
        if (status !== undefined && status >= 400 && status < 500 && status !== 429) return;
      }
      await sleep(Math.min(retryMs ?? delayMs, MAX_RETRY_MS), undefined, { signal, ref: false }).catch(() => {});
      delayMs = Math.min(delayMs * 2, MAX_RETRY_MS);
    }
  }

  async #endSession(session: string | undefined): Promise<void> {
    const { connections, target } = this.#options;
    try {
      if (session === undefined) return;
      const signal = AbortSignal.timeout(END_TIMEOUT_MS);
      const headers = { ...this.#sessionHeaders(), [SESSION_HEADER]: session };
      (await connections.send(target(), { method: "DELETE", headers, signal })).resume();
    } catch {
      // It forgets the session by itself.
    } finally {
      connections.close();
    }
  }
}

const RENEW_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 5_000;

function isForgotten(status: number, text: string): boolean {
  // 404 by the specification; servers that were started anew since often say 400.
  return status === 404 || (status === 400 && /session/i.test(text));
}

function headerOf(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name];
  return typeof value === "string" && value.length <= 1_024 ? value : undefined;
}
