import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context, Hono } from "hono";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/**
 * Who makes a request: the owner of the UNIX socket, or whoever has an API key, or a browser's session. A session that was opened with a code is no key's:
 * `key` then has the session's id. `stranger`: who has nothing yet and wants a session, the one request that is let in without.
 */
export type Caller =
  | { via: "socket" }
  | { via: "tcp"; key: { id: string; name: string }; session?: { id: string; isOwner: boolean } }
  | { via: "stranger"; key: { id: ""; name: "stranger" } };

export type ApiEnv = { Bindings: HttpBindings & { caller: Caller } };
export type ApiContext = Context<ApiEnv>;
export type Api = Hono<ApiEnv>;

const MAX_JSON_BYTES = 1024 * 1024;

/** How long a caller may take to send a JSON body, ms. */
const JSON_DEADLINE_MS = 10_000;

/** Bodies that have been read, for whoever asks again: a request's bytes come once. */
const BODIES = new WeakMap<IncomingMessage, Promise<string>>();

/** A JSON body of at most `maxBytes`, whatever its head says of its length; an empty one counts as {}. */
export async function readJson(context: ApiContext, maxBytes = MAX_JSON_BYTES): Promise<unknown> {
  const incoming = context.env.incoming as IncomingMessage;
  const body = BODIES.get(incoming) ?? readBody(incoming, maxBytes);
  BODIES.set(incoming, body);
  const text = await body;
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new FirebreakError("INVALID_ARGUMENT", "the request body is not JSON");
  }
}

/** Throws REQUEST_TOO_LARGE, or DEADLINE_EXCEEDED when the caller stops half-way. */
function readBody(incoming: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (error: FirebreakError) => {
      clearTimeout(timer);
      incoming.off("data", take);
      incoming.resume(); // closing with bytes unread would take the answer with them
      reject(error);
    };
    const timer = setTimeout(() => {
      const seconds = JSON_DEADLINE_MS / 1000;
      fail(new FirebreakError("DEADLINE_EXCEEDED", `a JSON body is sent whole within ${seconds} s`));
    }, JSON_DEADLINE_MS);
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else fail(new FirebreakError("REQUEST_TOO_LARGE", `a JSON body is at most ${maxBytes / 1024 / 1024} MiB`));
    };
    incoming.on("data", take);
    incoming.once("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
    incoming.once("close", () => fail(new FirebreakError("OPERATION_CANCELED", "the caller hung up")));
  });
}

/** Hands a request over to code that writes the answer itself: streams in both directions. */
export async function answerRaw(
  context: ApiContext,
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>,
): Promise<Response> {
  await answer(context.env.incoming as IncomingMessage, context.env.outgoing as ServerResponse);
  return RESPONSE_ALREADY_SENT;
}
