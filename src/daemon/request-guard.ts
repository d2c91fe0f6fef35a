import type { IncomingMessage, ServerResponse } from "node:http";
import { API_VERSION, API_VERSION_HEADER } from "../contract/api-version.ts";
import { checkHost, checkOrigin } from "../contract/request-origin.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Caller } from "./api/context.ts";
import { readToken } from "./dashboard/cookies.ts";
import type { Session, Sessions } from "./dashboard/sessions.ts";
import type { KeyRing } from "./keys.ts";

/** What is left of a refused request is read for this long, so that the refusal reaches a caller who is still sending, ms. */
const LINGER_MS = 1_000;
/** Bodies up to this many bytes are read to their end before the refusal. */
const READ_BEFORE_REFUSAL = 64 * 1024;
/** What the dashboard's requests have, and no page of another origin can add without being asked whether it may. */
export const DASHBOARD_HEADER = "x-firebreak-dashboard";

export interface GuardOptions {
  keys: KeyRing;
  /** Of browsers. */
  sessions: Pick<Sessions, "authenticate">;
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
   * Who makes a request. Throws HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED, API_KEY_MISSING, API_KEY_INVALID or API_KEY_EXPIRED; for one with a session's cookie
   * SESSION_ENDED or SESSION_REQUEST_REFUSED. Host and Origin come first: a page that has got hold of a key is still another site's page.
   */
  check(incoming: IncomingMessage): Caller {
    this.checkOrigin(incoming);
    const token = readToken(incoming.headers.cookie, incoming.headers.host ?? "");
    if (incoming.headers.authorization === undefined && token !== undefined) {
      checkOwnPage(incoming);
      return callerOf(this.#options.sessions.authenticate(token));
    }
    const match = /^Bearer +(\S+) *$/i.exec(incoming.headers.authorization ?? "");
    if (match === null) {
      throw new FirebreakError("API_KEY_MISSING", "the request has no 'Authorization: Bearer' header with an API key", {
        hint: "Make a key on the daemon's host: firebreak key create",
      });
    }
    const { id, name } = this.#options.keys.authenticate(match[1] as string); // the pattern has it
    return { via: "tcp", key: { id, name } };
  }

  /** What is checked of requests that need no key, too. Throws HOST_NOT_ALLOWED or ORIGIN_NOT_ALLOWED. */
  checkOrigin({ headers }: IncomingMessage): void {
    const host = headers.host ?? "";
    checkHost(host, this.#options.allowedHosts());
    checkOrigin(headers.origin, host);
  }
}

function callerOf({ id, name, keyId, isOwner }: Session): Caller {
  return { via: "tcp", key: { id: keyId ?? id, name }, session: { id, isOwner } };
}

/**
 * A browser adds a cookie to whatever any page asks for. Throws SESSION_REQUEST_REFUSED unless it is a page of this daemon's that asks: another port of
 * the same host is the same site to SameSite, and no page may make others change anything.
 */
function checkOwnPage({ method = "", headers }: IncomingMessage): void {
  const fetchSite = headers["sec-fetch-site"];
  const isReading = (method === "GET" || method === "HEAD") && headers.upgrade === undefined;
  // `none`: typed into the address bar, or opened in a tab of its own.
  const isOwn = fetchSite === undefined || fetchSite === "same-origin" || (fetchSite === "none" && isReading);
  // That an Origin is our own has been checked. A WebSocket cannot have headers of its own, and always says its origin.
  const isProven =
    isReading || (headers.origin !== undefined && (headers.upgrade !== undefined || DASHBOARD_HEADER in headers));
  if (isOwn && isProven) return;
  throw new FirebreakError("SESSION_REQUEST_REFUSED", "a session's cookie is for the dashboard's own requests", {
    hint: "Programs use an API key: firebreak key create",
  });
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
