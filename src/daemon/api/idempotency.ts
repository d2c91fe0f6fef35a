import type { ServerResponse } from "node:http";
import type { Next } from "hono";
import { hasDoneNothing, IDEMPOTENCY_HEADER, idempotencyKeySchema, MAX_ANSWER_CHARS } from "../../contract/call.ts";
import { digestOf } from "../../contract/canonical-json.ts";
import { LINES_TYPE } from "../../contract/routes/route.ts";
import type { ErrorBody } from "../../errors/firebreak-error.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { CallDeps } from "./call-routes.ts";
import { type ApiContext, readJson } from "./context.ts";
import { parseRequest, signalOfCaller } from "./responses.ts";

/** What is kept of an answer; of one in lines the last, which is the result. */
interface KeptAnswer {
  status: number;
  type: string;
  body: string;
}

/** Answers a POST request with an idempotency key once: whoever repeats it gets the same answer, or waits for it. */
export async function answerOnce(context: ApiContext, next: Next, { calls }: CallDeps): Promise<Response | undefined> {
  const header = context.req.header(IDEMPOTENCY_HEADER);
  const isKept = context.req.path.startsWith("/v1/") && !context.req.path.startsWith("/v1/secrets");
  if (header === undefined || context.req.method !== "POST" || !isKept) {
    await next();
    return undefined;
  }
  if (!/^(application\/json\b|$)/.test(context.req.header("content-type") ?? ""))
    throw new FirebreakError("INVALID_ARGUMENT", `${IDEMPOTENCY_HEADER} is for requests with a JSON body`);
  const { caller } = context.env;
  // Nobody hears the answer of another's call, nor of a tool's.
  const key = `${caller.via === "socket" ? "" : caller.key.id} http ${parseRequest(idempotencyKeySchema, header)}`;
  const outgoing = context.env.outgoing as ServerResponse;
  const { pathname, search } = new URL(context.req.url);
  const argumentsDigest = digestOf({ search, body: await readJson(context) });
  const request = { key, tool: `POST ${pathname}`, argumentsDigest };
  const claim = await calls.claim(request, signalOfCaller(outgoing), () => {});
  if ("answer" in claim) {
    const { status, type, body } = JSON.parse(claim.answer) as KeptAnswer;
    return new Response(body === "" ? null : body, {
      status,
      headers: { "content-type": type, "idempotency-replayed": "true" },
    });
  }
  const sent = watchRaw(outgoing);
  try {
    await next();
    const answer = sent() ?? (await keptOf(context.res));
    const error = errorOf(answer.body);
    if (error !== undefined && hasDoneNothing(error)) calls.release(claim.id);
    else calls.finish(claim.id, answer.body.length > MAX_ANSWER_CHARS ? undefined : JSON.stringify(answer));
  } catch (error) {
    calls.lose(claim.id);
    throw error;
  }
  return undefined;
}

async function keptOf(response: Response): Promise<KeptAnswer> {
  const type = response.headers.get("content-type") ?? "application/json";
  return { status: response.status, type, body: await response.clone().text() };
}

/** Notes the last line of an answer that its handler writes itself. Returns what tells it; undefined when there was none. */
function watchRaw(outgoing: ServerResponse): () => KeptAnswer | undefined {
  let last: string | undefined;
  const write = outgoing.write.bind(outgoing) as (...parameters: unknown[]) => boolean;
  outgoing.write = (chunk: unknown, ...rest: unknown[]) => {
    // Each line is written by itself.
    if (typeof chunk === "string") last = chunk;
    return write(chunk, ...rest);
  };
  return () => (last === undefined ? undefined : { status: 200, type: LINES_TYPE, body: last });
}

function errorOf(body: string): ErrorBody | undefined {
  try {
    return (JSON.parse(body) as { error?: ErrorBody }).error;
  } catch {
    return undefined;
  }
}
