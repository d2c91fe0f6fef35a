import type { JSONRPCMessage, RequestId, Server, Transport } from "@modelcontextprotocol/server";
import {
  agreedRevision,
  describeRequest,
  type McpRequest,
  optional,
  outcomeOfError,
  outcomeOfResult,
} from "../telemetry/mcp-spans.ts";
import { readTraceContext, type TraceContext } from "../telemetry/trace-context.ts";
import {
  currentContext,
  currentVia,
  isTracing,
  type Span,
  type SpanAttributes,
  startSpan,
  within,
} from "../telemetry/tracing.ts";

export interface TracedServerFacts {
  /** The MCP server that is spoken to; firebreak itself has none. */
  server?: string | undefined;
  /** A legacy client's session. */
  session?: string | undefined;
}

/** What came before the span's end without one: the client has cancelled, or is gone. */
const CANCELED = { "error.type": "OPERATION_CANCELED" };

/** Has each request of a server's clients be a span, from its arrival to its answer, and what is done for it part of that. For before it is connected. */
export function traceServer(server: Server, facts: TracedServerFacts = {}): Server {
  const connect = server.connect.bind(server);
  server.connect = async (transport) => {
    new TracedTransport(facts).attach(transport);
    await connect(transport);
  };
  return server;
}

/** Hears what passes a transport. The SDK knows transports by their identity: it stays the one that it is. */
class TracedTransport {
  readonly #facts: TracedServerFacts;
  readonly #underWay = new Map<RequestId, Span>();
  #revision: string | undefined;
  /** Whose answer says which revision a legacy client's requests are of. */
  #initializing: RequestId | undefined;

  constructor(facts: TracedServerFacts) {
    this.#facts = facts;
  }

  attach(transport: Transport): void {
    const send = transport.send.bind(transport);
    transport.send = (message, options) => {
      this.#answered(message);
      return send(message, options);
    };
    around(transport, "onmessage", (deliver) => (message, extra) => {
      within(this.#arrived(message), () => deliver(message, extra));
    });
    around(transport, "onclose", (close) => () => {
      for (const id of [...this.#underWay.keys()]) this.#end(id, CANCELED);
      close();
    });
  }

  /** What the handling of a message is part of. */
  #arrived(message: JSONRPCMessage): TraceContext | undefined {
    const http = currentContext();
    if (!("method" in message)) return http;
    const told = readTraceContext((message.params?._meta ?? {}) as Record<string, unknown>);
    const parent = told === undefined ? http : { ...http, ...told };
    if (!("id" in message)) {
      const { requestId } = (message.params ?? {}) as { requestId?: RequestId };
      if (message.method === "notifications/cancelled" && requestId !== undefined) this.#end(requestId, CANCELED);
      return parent;
    }
    if (message.method === "initialize") this.#initializing = message.id;
    if (!isTracing()) return parent;
    const { name, attributes } = describeRequest(message as McpRequest);
    const span = startSpan({
      name,
      kind: "server",
      attributes: { ...this.#attributes(), ...attributes },
      parent,
      link: told?.span === undefined ? undefined : http?.span,
    });
    // An id that is used twice is of the later one: the protocol has no other answer to it.
    this.#end(message.id, CANCELED);
    this.#underWay.set(message.id, span);
    return span.context;
  }

  #attributes(): SpanAttributes {
    const via = currentVia();
    const { server, session } = this.#facts;
    return {
      "network.transport": via ?? "pipe",
      ...(via === undefined ? {} : { "network.protocol.name": "http" }),
      ...optional("mcp.protocol.version", this.#revision),
      ...optional("mcp.session.id", session),
      ...optional("firebreak.server.name", server),
    };
  }

  #answered(message: JSONRPCMessage): void {
    if ("method" in message || message.id === undefined) return;
    if ("error" in message) {
      this.#end(message.id, outcomeOfError(message.error));
      return;
    }
    const revision = message.id === this.#initializing ? agreedRevision(message.result) : undefined;
    this.#revision ??= revision;
    this.#end(message.id, { ...optional("mcp.protocol.version", revision), ...outcomeOfResult(message.result) });
  }

  #end(id: RequestId, outcome: SpanAttributes): void {
    this.#underWay.get(id)?.end(outcome);
    this.#underWay.delete(id);
  }
}

/** Puts something around a callback of a transport's, whoever sets it and whenever. */
function around<Key extends "onmessage" | "onclose">(
  transport: Transport,
  key: Key,
  wrap: (callback: NonNullable<Transport[Key]>) => NonNullable<Transport[Key]>,
): void {
  let wrapped = transport[key] === undefined ? undefined : wrap(transport[key] as NonNullable<Transport[Key]>);
  Object.defineProperty(transport, key, {
    configurable: true,
    enumerable: true,
    get: () => wrapped,
    set: (callback: Transport[Key]) => {
      wrapped = callback === undefined ? undefined : wrap(callback as NonNullable<Transport[Key]>);
    },
  });
}
