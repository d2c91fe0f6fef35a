import type { IncomingMessage } from "node:http";
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  PROTOCOL_VERSION_META_KEY,
  parseJSONRPCMessage,
} from "@modelcontextprotocol/server";
import { createParser } from "eventsource-parser";

/** A message of a peer's, or part of a stream of them, is at most so long, characters. */
const MAX_MESSAGE_LENGTH = 64 * 1024 * 1024;

/** The revision that a modern message says it is of; legacy ones say nothing. */
export function revisionOf(message: JSONRPCMessage): string | undefined {
  const params = "params" in message ? message.params : undefined;
  const revision = (params?._meta as Record<string, unknown> | undefined)?.[PROTOCOL_VERSION_META_KEY];
  return typeof revision === "string" ? revision : undefined;
}

/**
 * The headers in which a modern message says again what it is. Those of a tool's own arguments (`Mcp-Param-…`) are left out: no tool of
 * firebreak's has them.
 */
export function modernHeaders(message: JSONRPCMessage, revision: string): Record<string, string> {
  const headers: Record<string, string> = { "mcp-protocol-version": revision };
  if (!("method" in message)) return headers;
  headers["mcp-method"] = encodeHeader(message.method);
  const params = (message.params ?? {}) as { name?: unknown; uri?: unknown; taskId?: unknown };
  const name = isJSONRPCRequest(message) ? (params.name ?? params.uri ?? params.taskId) : undefined;
  if (typeof name === "string") headers["mcp-name"] = encodeHeader(name);
  return headers;
}

/** As it is where a header can hold it unmistaken, else in base64. */
function encodeHeader(value: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith("=?");
  return isPlain ? value : `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

export interface StreamedMessage {
  message?: JSONRPCMessage;
  /** Where to go on when the stream breaks off behind this. */
  eventId?: string;
}

/** The messages of an answer, be it one of JSON or a stream. Throws on what is neither, and when the stream breaks off. */
export async function* readMessages(response: IncomingMessage): AsyncGenerator<StreamedMessage> {
  const type = response.headers["content-type"] ?? "";
  response.setEncoding("utf8");
  if (!type.startsWith("text/event-stream")) {
    const text = await readText(response);
    if (text.trim() !== "")
      for (const message of asList(JSON.parse(text))) yield { message: parseJSONRPCMessage(message) };
    return;
  }
  const ready: StreamedMessage[] = [];
  const parser = createParser({
    maxBufferSize: MAX_MESSAGE_LENGTH,
    onEvent: ({ id, data }) => {
      const eventId = id === undefined ? {} : { eventId: id };
      if (data === "") ready.push(eventId);
      else ready.push({ message: parseJSONRPCMessage(JSON.parse(data)), ...eventId });
    },
  });
  for await (const chunk of response as AsyncIterable<string>) {
    parser.feed(chunk);
    yield* ready.splice(0);
  }
}

const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

export async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_MESSAGE_LENGTH) throw new RangeError("the answer is too long");
  }
  return text;
}
