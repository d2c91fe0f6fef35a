import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { readChallenge } from "../oauth/challenge.ts";
import type { ServerLogin } from "../oauth/server-login.ts";
import { canceled } from "../rpc/peer.ts";
import { agentFor, type Dial } from "./dial.ts";
import { failed } from "./fault.ts";
import { mask, type Target } from "./target.ts";

const CONNECT_TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 3;
/** An idle connection is not used again after so long: most servers close theirs later, and a request must not meet that. */
const IDLE_SOCKET_MS = 4_000;
const KEEP_ALIVE_PROBE_MS = 30_000;
const MAX_ERROR_BYTES = 64 * 1024;

export interface HttpRequest {
  method: "GET" | "POST" | "DELETE";
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

export interface ConnectionsOptions {
  server: string;
  dial: Dial;
  /** How its requests are authorized; undefined where its headers say that. */
  login?: ServerLogin | undefined;
}

/** Requests to one server, over connections that are kept for a while. */
export class HttpConnections {
  readonly #server: string;
  readonly #dial: Dial;
  readonly #login: ServerLogin | undefined;
  readonly #agents = new Map<string, http.Agent>();

  constructor({ server, dial, login }: ConnectionsOptions) {
    this.#server = server;
    this.#dial = dial;
    this.#login = login;
  }

  /**
   * The head of the answer, whose body is to be read. Redirects are followed within the server's own origin, since the headers go along. A token of a login is added
   * to the target's secrets. Throws SERVER_FAILED, SERVER_LOGIN_…, SERVER_SCOPE_MISSING, OPERATION_CANCELED.
   */
  async send(target: Target, request: HttpRequest): Promise<IncomingMessage> {
    const login = this.#login;
    if (login === undefined) return this.#follow(target, request);
    let token = await login.token();
    for (let attempt = 0; ; attempt++) {
      const response = await this.#follow(authorized(target, token), request);
      if (response.statusCode !== 401 && response.statusCode !== 403) return response;
      const challenge = readChallenge(response);
      try {
        if (response.statusCode === 403) login.requireScope(challenge);
        else if (attempt > 0) throw login.refuse(token);
        const next = response.statusCode === 401 ? await login.replace(token, challenge) : undefined;
        if (next === undefined) return response;
        response.destroy();
        token = next;
      } catch (thrown) {
        response.destroy();
        throw thrown;
      }
    }
  }

  async #follow(target: Target, request: HttpRequest): Promise<IncomingMessage> {
    let { url } = target;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#sendOnce(url, target, request);
      const location = response.headers.location;
      const status = response.statusCode ?? 0;
      if (status < 300 || status >= 400 || status === 304) return response;
      response.destroy();
      const next = location === undefined || !URL.canParse(location, url.href) ? undefined : new URL(location, url);
      if (next === undefined || redirects === MAX_REDIRECTS)
        throw failed(this.#server, `answers with a redirect (${status}) that leads nowhere`, { status });
      if (next.origin !== url.origin)
        throw failed(this.#server, `answers with a redirect to ${next.origin}, and what it is sent is not for that`, {
          status,
          hint: "If it has moved there for good, change its url.",
        });
      // 301 to 303 make a GET of it, which is no message any more.
      if (request.method === "POST" && status !== 307 && status !== 308)
        throw failed(this.#server, `answers a message with a redirect (${status}) that would drop it`, {
          status,
          hint: `Its url may have to be ${next.origin}${next.pathname}`,
        });
      url = next;
    }
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  /** The server may be anywhere: somebody has written its URL down. */
  #agentFor(url: URL): http.Agent {
    const { protocol } = url;
    const existing = this.#agents.get(protocol);
    if (existing !== undefined) return existing;
    const agent = agentFor(url, this.#dial, true, { keepAlive: true, timeout: IDLE_SOCKET_MS });
    this.#agents.set(protocol, agent);
    return agent;
  }

  #sendOnce(url: URL, target: Target, { method, headers, body, signal }: HttpRequest): Promise<IncomingMessage> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(canceled(server));
      const timer = setTimeout(
        () => fail(failed(server, `cannot be reached at ${url.origin} within ${CONNECT_TIMEOUT_MS / 1_000} s`)),
        CONNECT_TIMEOUT_MS,
      );
      const onAbort = () => fail(canceled(server));
      signal.addEventListener("abort", onAbort, { once: true });
      const fail = (error: Error) => {
        clearTimeout(timer);
        reject(error);
        request?.destroy();
      };
      let request: http.ClientRequest | undefined;
      try {
        const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
        request = (url.protocol === "https:" ? https : http).request(url, {
          method,
          agent: this.#agentFor(url),
          headers: { ...target.headers, "accept-encoding": "identity", ...headers, ...length },
        });
      } catch (error) {
        // A header that cannot be one: its value may be a secret, and is not told.
        const { code } = error as NodeJS.ErrnoException;
        return fail(
          failed(server, `cannot be sent its headers (${code ?? "invalid"})`, {
            hint: "Look at its headers, and at the secrets in them.",
          }),
        );
      }
      request.once("socket", (socket) => {
        socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
        clearTimeout(timer);
      });
      request.once("error", (error: NodeJS.ErrnoException) => {
        const why = mask(error.message === "" ? (error.code ?? "unknown") : error.message, target.secrets);
        fail(failed(server, `cannot be reached at ${url.origin}: ${why}`, { cause: error }));
      });
      request.once("close", () => signal.removeEventListener("abort", onAbort));
      request.once("response", (response) => {
        clearTimeout(timer);
        // Who reads it hears of its end; one that nobody reads must not end the daemon.
        response.on("error", () => {});
        resolve(response);
      });
      request.end(body);
    });
  }
}

function authorized(target: Target, token: string | undefined): Target {
  if (token === undefined) return target;
  if (!target.secrets.includes(token)) target.secrets.push(token);
  return { ...target, headers: { ...target.headers, authorization: `Bearer ${token}` } };
}

/** Throws what `tooLong` makes when there is more, and SERVER_FAILED when the answer breaks off. */
export async function readText(
  response: IncomingMessage,
  maxBytes: number,
  server: string,
  tooLong: () => Error,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLong();
      chunks.push(chunk);
    }
  } catch (error) {
    response.destroy();
    throw isBroken(error) ? failed(server, "broke off its answer", { cause: error }) : error;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What an answer that is an error says; empty for one that says too much. */
export async function readErrorText(response: IncomingMessage, server: string): Promise<string> {
  return readText(response, MAX_ERROR_BYTES, server, () => new Error("too long")).catch(() => "");
}

/** Whether reading failed for the connection's sake. */
export function isBroken(error: unknown): boolean {
  return !(error instanceof FirebreakError) && typeof (error as NodeJS.ErrnoException).code === "string";
}

/** The media type of an answer, without its parameters; empty when it has none. */
export function typeOf(response: IncomingMessage): string {
  return (response.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}
