import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, HttpAnswer, ModelApi, Refusal, Turn } from "./model-api.ts";

/** A request for a reply, with its body and its key as they came. */
export type RecordedTurn = Turn & { body: string; key: string | undefined };

/** A request of any kind. */
export interface RecordedRequest {
  method: string;
  path: string;
  /** The API key that it has come with, however its API carries it. */
  key: string | undefined;
}

/** A model on a UNIX socket, or on a port of loopback, which says what it is told to. */
export interface FakeModel {
  /** Empty for one on a port. */
  socketPath: string;
  /** Without a path; empty for one on a UNIX socket. */
  url: string;
  /** All requests for a reply so far, oldest first; those that were refused, too. */
  turns: RecordedTurn[];
  requests: RecordedRequest[];
  /** Requests that could not be read, and why: a client that sends them speaks another API than we think. */
  misunderstood: string[];
  close: () => Promise<void>;
}

/** Serves one API or several; `answer` decides what the model says to each request. `where` is a UNIX socket's path, or a port of 127.0.0.1, 0 for any. */
export async function serveFakeModel(
  apis: ModelApi | readonly ModelApi[],
  where: string | number,
  answer: (turn: RecordedTurn) => Answer,
): Promise<FakeModel> {
  const turns: RecordedTurn[] = [];
  const requests: RecordedRequest[] = [];
  const misunderstood: string[] = [];
  const all = [apis].flat();
  const server = http.createServer(async (request, response) => {
    const method = request.method ?? "";
    const url = new URL(request.url ?? "/", "http://model");
    const path = url.pathname;
    const key = keyOf(request.headers, url);
    requests.push({ method, path, key });
    try {
      const body = await text(request);
      const api = method === "POST" ? all.find(({ isTurn }) => isTurn(path)) : undefined;
      if (api === undefined) return answerAside(response, firstAside(all, method, path));
      const turn: RecordedTurn = { ...api.read(path, JSON.parse(body)), body, key };
      turns.push(turn);
      const said = answer(turn);
      await sleep(said.waitMs ?? 0);
      if ("status" in said) refuse(response, said);
      else await send(response, api.write(turn, said), said);
    } catch (error) {
      misunderstood.push(`${method} ${path}: ${error}`);
      if (response.headersSent) return response.destroy();
      // What no client tries again.
      response.statusCode = 400;
      response.end(JSON.stringify({ error: { message: String(error) } }));
    }
  });
  if (typeof where === "string") server.listen(where);
  else server.listen(where, "127.0.0.1");
  await once(server, "listening");
  return {
    socketPath: typeof where === "string" ? where : "",
    url: typeof where === "string" ? "" : `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    turns,
    requests,
    misunderstood,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Anthropic's header, OpenAI's, Google's and its query. */
function keyOf(headers: http.IncomingHttpHeaders, url: URL): string | undefined {
  const [, bearer] = /^Bearer (.*)$/i.exec(headers.authorization ?? "") ?? [];
  const header = headers["x-api-key"] ?? headers["x-goog-api-key"];
  return (Array.isArray(header) ? header[0] : header) ?? bearer ?? url.searchParams.get("key") ?? undefined;
}

function firstAside(apis: readonly ModelApi[], method: string, path: string): unknown {
  for (const api of apis) {
    const aside = api.answerAside?.(method, path);
    if (aside !== undefined) return aside;
  }
  return undefined;
}

function answerAside(response: http.ServerResponse, value: unknown): void {
  response.statusCode = value === undefined ? 404 : 200;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value ?? { error: { message: "not found" } }));
}

/** Google's names of them; the others have none. */
const STATUS_NAMES: Record<number, string> = {
  401: "UNAUTHENTICATED",
  429: "RESOURCE_EXHAUSTED",
  529: "UNAVAILABLE",
};
const ERROR_TYPES: Record<number, string> = {
  401: "authentication_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

/** One body that each API's clients find their error in. */
function refuse(response: http.ServerResponse, { status, message, retryAfterSeconds }: Refusal): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  if (retryAfterSeconds !== undefined) response.setHeader("retry-after", String(retryAfterSeconds));
  const error = {
    type: ERROR_TYPES[status] ?? "api_error",
    message: message ?? `refused with ${status}`,
    code: status,
    status: STATUS_NAMES[status] ?? "INTERNAL",
  };
  response.end(JSON.stringify({ type: "error", error }));
}

async function send(
  response: http.ServerResponse,
  { contentType, body }: HttpAnswer,
  { eventMs, cutAfter }: { eventMs?: number; cutAfter?: number },
): Promise<void> {
  response.setHeader("content-type", contentType);
  if (contentType === "application/json" || (eventMs === undefined && cutAfter === undefined)) {
    response.end(body);
    return;
  }
  response.flushHeaders();
  for (const [index, event] of body.split(/(?<=\n\n)/).entries()) {
    if (index === cutAfter) {
      // What was written is sent first: the client has a stream that breaks off, not one that never began.
      await new Promise((resolve) => response.write("", resolve));
      await sleep(50);
      response.destroy();
      return;
    }
    response.write(event);
    await sleep(eventMs ?? 0);
  }
  response.end();
}
