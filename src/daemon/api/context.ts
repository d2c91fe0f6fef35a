import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context, Hono } from "hono";
import { FirebreakError } from "../../errors/firebreak-error.ts";

export type ApiEnv = { Bindings: HttpBindings };
export type ApiContext = Context<ApiEnv>;
export type Api = Hono<ApiEnv>;

/** A JSON body of at most 1 MiB; an empty one counts as {}. */
export async function readJson(context: ApiContext): Promise<unknown> {
  const length = Number(context.req.header("content-length") ?? 0);
  if (length > 1024 * 1024) throw new FirebreakError("REQUEST_TOO_LARGE", "a JSON body is at most 1 MiB");
  const text = await context.req.text();
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
