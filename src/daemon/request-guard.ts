import type { IncomingMessage, ServerResponse } from "node:http";
import { API_VERSION, API_VERSION_HEADER } from "../contract/api-version.ts";
import { checkHost, checkOrigin } from "../contract/request-origin.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Caller } from "./api/context.ts";
import type { KeyRing } from "./keys.ts";

/** What is left of a refused request is read for this long, so that the refusal reaches a caller who is still sending, ms. */
const LINGER_MS = 1_000;
/** Bodies up to this many bytes are read to their end before the refusal. */
const READ_BEFORE_REFUSAL = 64 * 1024;

export interface GuardOptions {
  keys: KeyRing;
  /** Names that the daemon is known by, in lower case, besides localhost and IP addresses. */
  allowedHosts: () => readonly string[];
}

/**
 * Decides on requests over TCP, before anything of them is looked at but the head: any listener that is not the UNIX socket's asks it
 * first, for upgrades too.
 */
export class RequestGuard {
  readonly #options: GuardOptions;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /**
   * Who makes a request. Throws HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED, API_KEY_MISSING, API_KEY_INVALID or API_KEY_EXPIRED. Host and Origin
   * come first: a page that has got hold of a key is still another site's page.
   */
  check(incoming: IncomingMessage): Caller {
    const host = incoming.headers.host ?? "";
    checkHost(host, this.#options.allowedHosts());
    checkOrigin(incoming.headers.origin, host);
    const match = /^Bearer +(\S+) *$/i.exec(incoming.headers.authorization ?? "");
    if (match === null) {
      throw new FirebreakError("API_KEY_MISSING", "the request has no 'Authorization: Bearer' header with an API key", {
        hint: "Make a key on the daemon's host: firebreak key create",
      });
    }
    const { id, name } = this.#options.keys.authenticate(match[1] as string); // the pattern has it
    return { via: "tcp", key: { id, name } };
  }
}

/**
 * Answers a refused request and lets go of its connection. A short body is read first: closed with bytes of the caller unread, a connection takes
 * the answer with it. Then the answer can say `connection: close`, without which a caller's next request may come on a connection that is about to end.
 */
export function refuse(incoming: IncomingMessage, outgoing: ServerResponse, error: FirebreakError): void {
  const { socket } = incoming;
  const text = JSON.stringify({ error: error.toBody() });
  let unread = READ_BEFORE_REFUSAL;
  let isAnswered = false;
  const answer = (isRead: boolean) => {
    if (isAnswered) return;
    isAnswered = true;
    outgoing.writeHead(error.httpStatus, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
      [API_VERSION_HEADER]: API_VERSION,
      ...challenge(error),
      // With this header Node closes the connection at once.
      ...(isRead ? { connection: "close" } : {}),
    });
    outgoing.end(text, () => socket.end());
  };
  incoming.on("data", (piece: Buffer) => {
    unread -= piece.length;
    if (unread < 0) answer(false);
  });
  incoming.once("end", () => answer(true));
  if (Number(incoming.headers["content-length"] ?? 0) > READ_BEFORE_REFUSAL) answer(false);
  const slow = setTimeout(() => answer(false), LINGER_MS);
  const timer = setTimeout(() => socket.destroy(), 2 * LINGER_MS);
  socket.once("close", () => {
    clearTimeout(slow);
    clearTimeout(timer);
  });
}

/** RFC 6750, section 3: without an error code when there was no key at all. */
export function challenge(error: FirebreakError): Record<string, string> {
  if (error.class !== "unauthenticated") return {};
  const detail = error.code === "API_KEY_MISSING" ? "" : `, error="invalid_token", error_description="${error.code}"`;
  return { "www-authenticate": `Bearer realm="firebreak"${detail}` };
}
