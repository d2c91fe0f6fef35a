import { once } from "node:events";
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import type { ErrorBody } from "../../src/errors/firebreak-error.ts";

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** Of an answer in JSON; {} otherwise. */
  body: { error?: ErrorBody };
}

/** One request with the headers that it is given, those of browsers included. `target`: the path and query as they are. */
export async function httpCall(
  url: URL,
  target: string,
  { method = "GET", headers = {}, body }: { method?: string; headers?: OutgoingHttpHeaders; body?: string } = {},
): Promise<HttpAnswer> {
  const request = http.request({ host: url.hostname, port: url.port, path: target, method, agent: false, headers });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const words = await text(response);
  const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: words,
    body: isJson && words !== "" ? JSON.parse(words) : {},
  };
}
