import http from "node:http";
import { text } from "node:stream/consumers";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";

/** One request to a daemon's API as any program could make it; an answer in lines is waited for to its end. */
export async function callDaemon<T>(socketPath: string, method: string, path: string, body?: unknown): Promise<T> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const request = http.request({ socketPath, method, path, agent: false, headers }, resolve);
    request.once("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const lines = (await text(response)).trim().split("\n");
  const last = JSON.parse(lines.at(-1) || "{}") as { error?: never; result?: T };
  if (last.error !== undefined) throw FirebreakError.fromBody(last.error);
  return last.result ?? (last as T);
}
