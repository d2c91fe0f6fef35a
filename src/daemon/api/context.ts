import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context, Hono } from "hono";
import { FirebreakError } from "../../errors/firebreak-error.ts";

export type ApiEnv = { Bindings: HttpBindings };
export type ApiContext = Context<ApiEnv>;
export type Api = Hono<ApiEnv>;

const MAX_JSON_BYTES = 1024 * 1024;

/** A JSON body of at most 1 MiB, whatever its head says of its length; an empty one counts as {}. */
export async function readJson(context: ApiContext): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of context.env.incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_JSON_BYTES) throw new FirebreakError("REQUEST_TOO_LARGE", "a JSON body is at most 1 MiB");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new FirebreakError("INVALID_ARGUMENT", "the request body is not JSON");
  }
}

/** Hands a request over to code that writes the answer itself: streams in both directions. */
export async function answerRaw(
  context: ApiContext,
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>,
): Promise<Response> {
  await answer(context.env.incoming as IncomingMessage, context.env.outgoing as ServerResponse);
  return RESPONSE_ALREADY_SENT;
}
