import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { type HttpAnswer, jsonAnswer, type ModelApi, type Reply, type Turn } from "./model-api.ts";

/** A request for a reply, with its body as it came. */
export type RecordedTurn = Turn & { body: string };

/** A model on a UNIX socket, which says what it is told to. */
export interface FakeModel {
  socketPath: string;
  /** All requests for a reply so far, oldest first. */
  turns: RecordedTurn[];
  /** Requests that could not be read, and why: a client that sends them speaks another API than we think. */
  misunderstood: string[];
  close: () => Promise<void>;
}

/** Serves `api`; `reply` decides what the model says to each request. */
export async function serveFakeModel(
  api: ModelApi,
  socketPath: string,
  reply: (turn: Turn) => Reply,
): Promise<FakeModel> {
  const turns: RecordedTurn[] = [];
  const misunderstood: string[] = [];
  const answerTurn = (path: string, body: string): HttpAnswer => {
    const turn = api.read(path, JSON.parse(body));
    turns.push({ ...turn, body });
    return api.write(turn, reply(turn));
  };
  const server = http.createServer(async (request, response) => {
    const method = request.method ?? "";
    const { pathname } = new URL(request.url ?? "/", "http://model");
    const body = await text(request);
    try {
      const aside = api.answerAside?.(method, pathname);
      const answer =
        method === "POST" && api.isTurn(pathname)
          ? answerTurn(pathname, body)
          : aside === undefined
            ? undefined
            : jsonAnswer(aside);
      response.statusCode = answer === undefined ? 404 : 200;
      response.setHeader("content-type", answer?.contentType ?? "application/json");
      response.end(answer?.body ?? JSON.stringify({ error: { message: "not found" } }));
    } catch (error) {
      misunderstood.push(`${method} ${pathname}: ${error}`);
      // What no client tries again.
      response.statusCode = 400;
      response.end(JSON.stringify({ error: { message: String(error) } }));
    }
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    socketPath,
    turns,
    misunderstood,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
