import http from "node:http";
import https from "node:https";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { agentFor, type Dial } from "../remote/dial.ts";
import { loginFailed, quote } from "./faults.ts";

const DEADLINE_MS = 30_000;
/** Metadata, registrations and tokens are small. */
const MAX_BYTES = 256 * 1024;

export interface GuardOptions {
  /** For errors. */
  server: string;
  /** The server's own URL: what it names is public, unless it is on this host itself. */
  serverUrl: URL;
  /** The authorization server that the configuration names. */
  issuer?: string | undefined;
  dial: Dial;
}

/** What SDK code does not take for a reason to try something else. */
class Refusal extends TypeError {}

/** The error that made a fetch fail, however it was wrapped. */
export function reasonOf(thrown: unknown): FirebreakError | undefined {
  for (let each = thrown; each instanceof Error; each = each.cause) if (each instanceof FirebreakError) return each;
  return undefined;
}

/**
 * Requests to what a server that is not trusted has named. Each is over TLS, or stays on this host where the server itself is there, and goes to public addresses
 * alone, unless the configuration names the place. Redirects are not followed, answers are bounded.
 */
export class GuardedFetch {
  readonly #options: GuardOptions;
  readonly #named: ReadonlySet<string>;
  readonly #isServerHere: boolean;

  constructor(options: GuardOptions) {
    this.#options = options;
    const { serverUrl, issuer } = options;
    this.#named = new Set([serverUrl.origin, ...(issuer === undefined ? [] : [new URL(issuer).origin])]);
    this.#isServerHere = isHere(serverUrl);
  }

  /** Throws SERVER_LOGIN_FAILED for a URL that nothing is to be sent to, nor anybody. */
  check(text: string | URL, what: string): URL {
    const { server } = this.#options;
    const url = URL.canParse(String(text)) ? new URL(text) : undefined;
    const refuse = (why: string) => loginFailed(server, `${what} (${quote(String(text), 200)}) ${why}`);
    if (url === undefined) throw refuse("is no URL");
    if (url.username !== "" || url.password !== "") throw refuse("has a user in it");
    if (url.protocol === "https:") return url;
    if (url.protocol !== "http:" || !isHere(url)) throw refuse("is not https");
    if (!this.#isTrusted(url)) throw refuse("leads to this host, and the server is elsewhere");
    return url;
  }

  /** As SDK code wants it. */
  readonly fetch = async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    try {
      return await this.#send(this.check(input, "what it names"), init);
    } catch (thrown) {
      const reason = reasonOf(thrown) ?? loginFailed(this.#options.server, (thrown as Error).message);
      throw new Refusal(reason.message, { cause: reason });
    }
  };

  #isTrusted(url: URL): boolean {
    return this.#named.has(url.origin) || (this.#isServerHere && isHere(url));
  }

  #send(url: URL, { method = "GET", headers, body }: RequestInit): Promise<Response> {
    const { server, dial } = this.#options;
    const agent = agentFor(url, dial, this.#isTrusted(url), { keepAlive: false });
    const text = body === undefined || body === null ? undefined : String(body);
    const failed = (why: string, cause?: unknown) => loginFailed(server, `${url.origin} ${why}`, { cause });
    return new Promise<Response>((resolve, reject) => {
      const request = (url.protocol === "https:" ? https : http).request(url, {
        method,
        agent,
        headers: {
          ...Object.fromEntries(new Headers(headers)),
          "accept-encoding": "identity",
          ...(text === undefined ? {} : { "content-length": String(Buffer.byteLength(text)) }),
        },
      });
      const timer = setTimeout(
        () => request.destroy(failed(`does not answer within ${DEADLINE_MS / 1_000} s`)),
        DEADLINE_MS,
      );
      const end = (error: Error) => reject(reasonOf(error) ?? failed(`cannot be reached: ${error.message}`, error));
      request.once("error", end);
      request.once("response", (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("error", end);
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_BYTES) response.destroy(failed(`answers with more than ${MAX_BYTES / 1024} KiB`));
          else chunks.push(chunk);
        });
        response.once("end", () => resolve(toResponse(response, Buffer.concat(chunks))));
      });
      request.once("close", () => {
        clearTimeout(timer);
        agent.destroy();
        reject(failed("broke off its answer"));
      });
      request.end(text);
    }).catch((thrown: unknown) => {
      throw reasonOf(thrown)?.code === "EGRESS_DENIED"
        ? failed(`is not to be asked: ${(thrown as Error).message}`, thrown)
        : thrown;
    });
  }
}

function toResponse({ statusCode = 0, headers }: http.IncomingMessage, body: Buffer): Response {
  const known = new Headers();
  for (const name of ["content-type", "location", "www-authenticate", "dpop-nonce"])
    if (typeof headers[name] === "string") known.set(name, headers[name]);
  const isBodiless = [204, 205, 304].includes(statusCode);
  // What is below 200 is no answer, and a Response cannot be it.
  return new Response(isBodiless ? null : new Uint8Array(body), {
    status: statusCode < 200 || statusCode > 599 ? 502 : statusCode,
    headers: known,
  });
}

/** Whether a URL says itself that it is of this host. */
export function isHere({ hostname }: URL): boolean {
  return /^(?:127(?:\.\d+){3}|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}
