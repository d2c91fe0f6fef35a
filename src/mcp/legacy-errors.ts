import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";

/** What the older revisions have for a resource that there is not. */
export const LEGACY_RESOURCE_NOT_FOUND = -32_002;
const INVALID_PARAMS = -32_602;

/**
 * Has a client of the older revisions hear of a resource that there is not in its own terms: since 2026-07-28 that is `-32602` with the URI and nothing
 * else in its data, and the SDK says so to all clients.
 */
export function withLegacyErrors<T extends Transport>(transport: T): T {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => send(toLegacy(message), options);
  return transport;
}

function toLegacy(message: JSONRPCMessage): JSONRPCMessage {
  if (!("error" in message) || !isResourceNotFound(message.error)) return message;
  return { ...message, error: { ...message.error, code: LEGACY_RESOURCE_NOT_FOUND } };
}

function isResourceNotFound({ code, data }: { code: number; data?: unknown }): boolean {
  if (code !== INVALID_PARAMS || typeof data !== "object" || data === null) return false;
  const entries = Object.entries(data);
  return entries.length === 1 && entries[0]?.[0] === "uri" && typeof entries[0][1] === "string";
}
