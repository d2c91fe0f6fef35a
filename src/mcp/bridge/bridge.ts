import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import {
  isInitializeRequest,
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCErrorResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type JSONRPCResultResponse,
  type RequestId,
} from "@modelcontextprotocol/server";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { RPC_ERROR } from "../http/answers.ts";
import { DaemonLink, type DaemonLinkOptions, endedDuringCall } from "./daemon-link.ts";
import { modernHeaders, readMessages, readText, revisionOf } from "./http-message.ts";

/** Between two attempts to hear again of what the daemon tells by itself, ms. */
const LISTEN_AGAIN_MS = 1_000;

/** What is asked without anything being done. */
const REPEATABLE: ReadonlySet<string> = new Set([
  "initialize",
  "server/discover",
  "ping",
  "tools/list",
  "prompts/list",
  "prompts/get",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "completion/complete",
  "logging/setLevel",
  "subscriptions/listen",
  "notifications/initialized",
]);

interface Session {
  id: string;
  revision: string;
}

export interface BridgeOptions extends DaemonLinkOptions {
  /** Hands a message to the client. */
  deliver: (message: JSONRPCMessage) => Promise<void>;
}

/**
 * Carries JSON-RPC between a client on a stream and the daemon's MCP endpoint, in either era, each message by itself. A daemon that is
 * restarted is found again, with the client's session; a call that was cut off by it is answered with an error.
 */
export class Bridge {
  readonly #link: DaemonLink;
  readonly #deliver: BridgeOptions["deliver"];
  readonly #ending = new AbortController();
  readonly #inFlight = new Map<RequestId, AbortController>();
  #session: Session | undefined;
  /** Until a legacy client's session is there: what it says without waiting for that belongs to it, too. */
  #opening: Promise<void> | undefined;
  #initialize: JSONRPCRequest | undefined;
  #listening: AbortController | undefined;
  #renewal: Promise<void> | undefined;

  constructor({ deliver, ...link }: BridgeOptions) {
    this.#link = new DaemonLink(link);
    this.#deliver = deliver;
  }

  /** Passes a message of the client's on; its answers are delivered. */
  async forward(message: JSONRPCMessage): Promise<void> {
    const revision = revisionOf(message);
    if (isJSONRPCRequest(message) && message.method === "initialize") {
      this.#opening = this.#request(message);
      return this.#opening;
    }
    if (revision === undefined) await this.#opening;
    if (isJSONRPCRequest(message)) return this.#request(message);
    const cancelled = cancelledIdOf(message);
    if (cancelled !== undefined && (revision !== undefined || this.#session === undefined)) {
      // A modern request is cancelled by hanging up.
      this.#inFlight.get(cancelled)?.abort();
      return;
    }
    try {
      const response = await this.#post(message, this.#ending.signal);
      response.resume();
      if ("method" in message && message.method === "notifications/initialized") void this.#listen();
    } catch {
      // Nobody waits for an answer to what is no request; the next request tells that the daemon is gone.
    }
  }

  /** Hangs up on all that is under way, and ends the session. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#ending.abort();
    for (const aborter of this.#inFlight.values()) aborter.abort();
    if (session === undefined) return;
    const headers = sessionHeaders(session);
    const signal = AbortSignal.timeout(LISTEN_AGAIN_MS);
    await this.#link
      .send({ method: "DELETE", headers, signal, isRepeatable: false, isOptional: true })
      .then((response) => response.resume())
      .catch(() => {});
  }

  async #request(message: JSONRPCRequest): Promise<void> {
    const aborter = new AbortController();
    this.#inFlight.set(message.id, aborter);
    try {
      const isListen = message.method === "subscriptions/listen";
      if (isListen) await this.#listenTo(message, aborter.signal);
      else await this.#call(message, aborter.signal);
    } catch (thrown) {
      if (!aborter.signal.aborted) await this.#deliver(failureOf(message.id, thrown));
    } finally {
      if (this.#inFlight.get(message.id) === aborter) this.#inFlight.delete(message.id);
    }
  }

  async #call(message: JSONRPCRequest, signal: AbortSignal): Promise<void> {
    const isLegacyCall = revisionOf(message) === undefined && message.method !== "initialize";
    let response = await this.#post(message, signal);
    if (response.statusCode === 404 && isLegacyCall && this.#initialize !== undefined) {
      // The session has expired, or the daemon's state is another one: what the client said then is said again.
      response.resume();
      await this.#renew();
      response = await this.#post(message, signal);
    }
    if (message.method === "initialize") this.#noteSession(message, response);
    const outcome = await this.#relay(message, response);
    if (outcome.isAnswered || signal.aborted) return;
    if (outcome.eventId === undefined) throw endedDuringCall();
    await this.#readOn(message, outcome.eventId, signal);
  }

  /** Reads on where a legacy call's stream ended before its answer: from the same daemon, or from one that can say that it is lost. */
  async #readOn(message: JSONRPCRequest, lastEventId: string, signal: AbortSignal): Promise<void> {
    for (let eventId: string | undefined = lastEventId; eventId !== undefined; ) {
      const session = this.#session;
      if (session === undefined) break;
      const headers = { ...sessionHeaders(session), accept: "text/event-stream", "last-event-id": eventId };
      const response = await this.#link.send({ method: "GET", headers, signal, isRepeatable: true });
      // It has been cancelled.
      if (response.statusCode === 405) return void response.resume();
      const outcome = await this.#relay(message, response);
      if (outcome.isAnswered || signal.aborted) return;
      eventId = outcome.eventId === eventId ? undefined : outcome.eventId;
    }
    throw endedDuringCall();
  }

  /** A modern subscription lasts until it is cancelled: one that ends with its daemon is asked for again of the next, unnoticed. */
  async #listenTo(message: JSONRPCRequest, signal: AbortSignal): Promise<void> {
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      try {
        const response = await this.#post(message, signal, !isFirst);
        const { statusCode = 500 } = response;
        if (statusCode >= 400 && (isFirst || statusCode < 500))
          return await this.#deliver(await refusalOf(message.id, response));
        if (await this.#relaySubscription(response, isFirst)) return;
      } catch (error) {
        if (isFirst) throw error;
      }
      await sleep(LISTEN_AGAIN_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Returns whether the subscription is over: refused, or nothing is there that it could tell of. */
  async #relaySubscription(response: IncomingMessage, isFirst: boolean): Promise<boolean> {
    let isEmpty = false;
    try {
      for await (const { message } of readMessages(response)) {
        if (message === undefined) continue;
        if (isAnswer(message)) {
          const isOver = isEmpty || isJSONRPCErrorResponse(message);
          if (isOver) await this.#deliver(message);
          return isOver;
        }
        const isAcknowledged = "method" in message && message.method === "notifications/subscriptions/acknowledged";
        if (isAcknowledged) isEmpty = Object.keys(message.params?.notifications ?? {}).length === 0;
        if (!isAcknowledged || isFirst) await this.#deliver(message);
      }
    } catch {
      // It broke off with its daemon.
    }
    return false;
  }

  #noteSession(message: JSONRPCRequest, response: IncomingMessage): void {
    const id = response.headers["mcp-session-id"];
    if (typeof id !== "string" || !isInitializeRequest(message)) return;
    this.#initialize = message;
    this.#session = { id, revision: message.params.protocolVersion };
  }

  async #renew(): Promise<void> {
    this.#renewal ??= (async () => {
      const initialize = { ...this.#initialize, id: "bridge" } as JSONRPCRequest;
      this.#session = undefined;
      const response = await this.#post(initialize, this.#ending.signal);
      this.#noteSession(initialize, response);
      for await (const { message } of readMessages(response)) this.#noteRevision(message);
      const initialized = await this.#post(
        { jsonrpc: "2.0", method: "notifications/initialized" },
        this.#ending.signal,
      );
      initialized.resume();
      void this.#listen();
    })().finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
  }

  /** What the daemon tells a legacy client by itself, for as long as the session is the same. */
  async #listen(): Promise<void> {
    this.#listening?.abort();
    const listening = new AbortController();
    this.#listening = listening;
    const signal = AbortSignal.any([listening.signal, this.#ending.signal]);
    let eventId: string | undefined;
    while (!signal.aborted && this.#session !== undefined) {
      try {
        const headers = {
          ...sessionHeaders(this.#session),
          accept: "text/event-stream",
          ...(eventId === undefined ? {} : { "last-event-id": eventId }),
        };
        const response = await this.#link.send({
          method: "GET",
          headers,
          signal,
          isRepeatable: true,
          isOptional: true,
        });
        // No such stream, or no such session any more: the next call finds out.
        if ((response.statusCode ?? 500) >= 400) return void response.resume();
        for await (const { message, eventId: at } of readMessages(response)) {
          eventId = at ?? eventId;
          if (message !== undefined) await this.#deliver(message);
        }
      } catch {
        // Tried again: the daemon may be away for a while.
      }
      await sleep(LISTEN_AGAIN_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #post(message: JSONRPCMessage, signal: AbortSignal, isOptional = false): Promise<IncomingMessage> {
    const revision = revisionOf(message);
    const isFirst = "method" in message && message.method === "initialize";
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(revision === undefined ? {} : modernHeaders(message, revision)),
      ...(revision === undefined && this.#session !== undefined && !isFirst ? sessionHeaders(this.#session) : {}),
    };
    const isRepeatable = "method" in message && REPEATABLE.has(message.method);
    return this.#link.send({
      method: "POST",
      headers,
      body: JSON.stringify(message),
      signal,
      isRepeatable,
      isOptional,
    });
  }

  /** Delivers an answer's messages. Of a stream that breaks off, what has come of it has been delivered. */
  async #relay(request: JSONRPCRequest, response: IncomingMessage): Promise<Outcome> {
    if ((response.statusCode ?? 500) >= 400) {
      await this.#deliver(await refusalOf(request.id, response));
      return { isAnswered: true };
    }
    const outcome: Outcome = { isAnswered: false };
    try {
      for await (const { message, eventId } of readMessages(response)) {
        if (eventId !== undefined) outcome.eventId = eventId;
        if (message === undefined) continue;
        if (request.method === "initialize") this.#noteRevision(message);
        await this.#deliver(message);
        if (isAnswer(message) && message.id === request.id) outcome.isAnswered = true;
      }
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof RangeError) throw error;
      // It broke off: the outcome says how far it came.
    }
    return outcome;
  }

  /** The revision that was agreed upon, which may be another than the client asked for. */
  #noteRevision(message: JSONRPCMessage | undefined): void {
    if (message === undefined || !isJSONRPCResultResponse(message) || this.#session === undefined) return;
    const { protocolVersion } = message.result as { protocolVersion?: unknown };
    if (typeof protocolVersion === "string") this.#session.revision = protocolVersion;
  }
}

interface Outcome {
  isAnswered: boolean;
  /** Of the last event that had one. */
  eventId?: string;
}

const sessionHeaders = ({ id, revision }: Session) => ({ "mcp-session-id": id, "mcp-protocol-version": revision });

function cancelledIdOf(message: JSONRPCMessage): RequestId | undefined {
  if (!("method" in message) || message.method !== "notifications/cancelled") return undefined;
  const id = message.params?.requestId;
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

const isAnswer = (message: JSONRPCMessage): message is JSONRPCResultResponse | JSONRPCErrorResponse =>
  isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message);

function failureOf(id: RequestId, thrown: unknown): JSONRPCMessage {
  const error = toFirebreakError(thrown);
  const message = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  return { jsonrpc: "2.0", id, error: { code: RPC_ERROR.internal, message, data: error.toBody() } };
}

/** A refusal as the answer to the request: the transport's own have no id, and the API's are no JSON-RPC. */
async function refusalOf(id: RequestId, response: IncomingMessage): Promise<JSONRPCMessage> {
  const text = await readText(response).catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error: { code: unknown; message: string; hint?: string; data?: unknown } };
    if (typeof error.code === "number") return { jsonrpc: "2.0", id, error: { ...error, code: error.code } };
    return failureOf(id, FirebreakError.fromBody(error as { code: string; message: string }));
  } catch {
    const message = `the daemon answered ${response.statusCode} without saying why`;
    return failureOf(id, new FirebreakError("DAEMON_UNAVAILABLE", message));
  }
}
