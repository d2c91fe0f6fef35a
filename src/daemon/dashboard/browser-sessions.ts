import type { IncomingMessage } from "node:http";
import type { SessionDeps } from "../api/session-routes.ts";
import type { TcpFront } from "../tcp-front.ts";
import { setCookie } from "./cookies.ts";
import type { Session, Sessions } from "./sessions.ts";

/** Sessions as the API's routes have them: with their cookies. */
export function browserSessions(sessions: Sessions, tcp: Pick<TcpFront, "status" | "hangUp">): SessionDeps["sessions"] {
  const opened = ({ session, token }: { session: Session; token: string }, incoming: IncomingMessage) => ({
    ...session,
    cookie: cookieFor(incoming, token),
  });
  return {
    createCode: () => {
      const { code, expiresAt } = sessions.createCode();
      const url = tcp.status()?.url;
      return { code, expiresAt, ...(url === undefined ? {} : { url: `${toOwnHost(url)}/login#code=${code}` }) };
    },
    openWithCode: (code, incoming) => opened(sessions.openWithCode(code), incoming),
    openWithKey: (key, incoming) => opened(sessions.openWithKey(key), incoming),
    end: (id, incoming) => {
      sessions.end(id);
      // The answer first; what else the browser has open, such as a stream, ends then.
      setTimeout(() => tcp.hangUp(id), HANG_UP_MS).unref();
      return cookieFor(incoming, undefined);
    },
  };
}

const HANG_UP_MS = 200;

/** The page's own origin says whether it has come over TLS, which a proxy before us ends. */
function cookieFor({ headers }: IncomingMessage, token: string | undefined): string {
  return setCookie(headers.host ?? "", token, headers.origin?.startsWith("https:") === true);
}

/** All addresses are no place to go: this host is. */
function toOwnHost(url: string): string {
  return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}
