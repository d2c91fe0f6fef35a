import {
  agreedRevision,
  describeRequest,
  optional,
  outcomeOfError,
  outcomeOfResult,
} from "../../telemetry/mcp-spans.ts";
import { type TraceContext, writeTraceContext } from "../../telemetry/trace-context.ts";
import { currentContext, isTracing, outcomeOfThrown, type SpanAttributes, startSpan } from "../../telemetry/tracing.ts";
import { RpcError } from "../rpc/messages.ts";
import type { Peer, RequestOptions } from "../rpc/peer.ts";

/** Stays open for as long as the session, and is part of no request. */
const LASTING_METHOD = "subscriptions/listen";

export interface TracedPeerOptions {
  /** What all spans have in common: which server it is, and how it is reached. */
  attributes: SpanAttributes;
  /** The revision that has been agreed on, where that was done before. */
  revision?: string | undefined;
}

/** Has each request to a server be a span, and tells the server, in `_meta`, what it is part of: also of what others record, with no span of ours. */
export class TracedPeer implements Peer {
  readonly #peer: Peer;
  readonly #attributes: SpanAttributes;
  #revision: string | undefined;

  constructor(peer: Peer, { attributes, revision }: TracedPeerOptions) {
    this.#peer = peer;
    this.#attributes = attributes;
    this.#revision = revision;
  }

  get pendingCount(): number {
    return this.#peer.pendingCount;
  }

  get isClosed(): boolean {
    return this.#peer.isClosed;
  }

  get ended(): Promise<void> {
    return this.#peer.ended;
  }

  async request(method: string, params: Record<string, unknown>, options: RequestOptions = {}) {
    const parent = method === LASTING_METHOD ? undefined : currentContext();
    if (!isTracing() || method === LASTING_METHOD) return this.#pass(method, telling(params, parent), options);
    const { name, attributes } = describeRequest({ method, params });
    const span = startSpan({
      name,
      kind: "client",
      attributes: { ...this.#attributes, ...optional("mcp.protocol.version", this.#revision), ...attributes },
      parent,
    });
    let id: SpanAttributes = {};
    const onId = (sent: string | number) => {
      id = { "jsonrpc.request.id": String(sent) };
    };
    try {
      const result = await this.#pass(method, telling(params, span.context), { ...options, onId });
      span.end({ ...id, ...optional("mcp.protocol.version", this.#revision), ...outcomeOfResult(result) });
      return result;
    } catch (thrown) {
      span.end({ ...id, ...(thrown instanceof RpcError ? outcomeOfError(thrown) : outcomeOfThrown(thrown)) });
      throw thrown;
    }
  }

  async #pass(method: string, params: Record<string, unknown>, options: RequestOptions) {
    const result = await this.#peer.request(method, params, options);
    if (method === "initialize") this.#revision = agreedRevision(result);
    return result;
  }

  notify(method: string, params?: Record<string, unknown>): void {
    this.#peer.notify(method, params);
  }

  close(): void {
    this.#peer.close();
  }
}

function telling(params: Record<string, unknown>, context: TraceContext | undefined): Record<string, unknown> {
  if (context === undefined) return params;
  return { ...params, _meta: { ...(params._meta as object | undefined), ...writeTraceContext(context) } };
}
