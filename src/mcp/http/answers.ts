import type { RequestId } from "@modelcontextprotocol/server";

/** JSON-RPC codes of the transport's own refusals. */
export const RPC_ERROR = {
  parse: -32700,
  invalidRequest: -32600,
  internal: -32603,
  /** Streamable HTTP: what the transport refuses. */
  transport: -32000,
  /** Streamable HTTP: the session is not known (any more). */
  sessionNotFound: -32001,
} as const;

export interface RpcFailure {
  code: number;
  message: string;
  data?: unknown;
}

/** A request that is refused before any server has seen it. */
export function refuse(
  status: number,
  error: RpcFailure,
  { id = null, headers = {} }: { id?: RequestId | null; headers?: Record<string, string> } = {},
): Response {
  return Response.json({ jsonrpc: "2.0", error, id }, { status, headers });
}

/** An event stream of these messages, which then ends. */
export function answerWithEvents(messages: unknown[]): Response {
  const text = messages.map((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`).join("");
  return new Response(text, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}
