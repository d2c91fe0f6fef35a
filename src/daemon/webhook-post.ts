import http from "node:http";
import https from "node:https";
import { agentFor, type Dial } from "../gateway/remote/dial.ts";
import type { WebhookPost, WebhookSenderOptions } from "../tasks/webhooks/sender.ts";

/** Of an answer that is read, so that a receiver which means well sees its end; nothing of it is kept. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Requests to receivers of webhooks. Those that are confined reach public addresses alone; the others this host and its networks, too. */
export function createWebhookPost(dial: Dial): WebhookSenderOptions["post"] {
  return async (request, signal) => {
    const agent = agentFor(request.url, dial, !request.isConfined, { keepAlive: false });
    try {
      return await post(request, agent, signal);
    } finally {
      agent.destroy();
    }
  };
}

function post({ url, headers, body }: WebhookPost, agent: http.Agent, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? https.request : http.request;
    const request = send(url, {
      method: "POST",
      agent,
      signal,
      headers: { ...headers, "content-length": Buffer.byteLength(body) },
    });
    request.on("error", reject);
    request.once("response", (response) => {
      const status = response.statusCode ?? 0;
      let read = 0;
      response.on("data", (piece: Buffer) => {
        read += piece.length;
        if (read > MAX_ANSWER_BYTES) response.destroy();
      });
      // The status is the answer, whatever becomes of the rest.
      response.on("error", () => {});
      response.once("close", () => resolve(status));
    });
    request.end(body);
  });
}
