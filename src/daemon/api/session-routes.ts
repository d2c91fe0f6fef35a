import type { IncomingMessage } from "node:http";
import { type DashboardCode, type DashboardSession, dashboardLoginSchema } from "../../contract/dashboard.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { requireLocal } from "./caller.ts";
import { type Api, type ApiContext, readJson } from "./context.ts";
import { parseRequest } from "./responses.ts";

/** What a stranger may send: a code or a key. */
export const MAX_LOGIN_BYTES = 4 * 1024;

/** A session that has been opened, and the header that makes a browser keep it. */
export interface OpenedSession extends DashboardSession {
  cookie: string;
}

export interface SessionDeps {
  sessions: {
    createCode(): DashboardCode;
    /** Throws LOGIN_CODE_INVALID. */
    openWithCode(code: string, incoming: IncomingMessage): OpenedSession;
    /** Throws API_KEY_INVALID or API_KEY_EXPIRED. */
    openWithKey(key: string, incoming: IncomingMessage): OpenedSession;
    /** Ends a session; returns the header that makes a browser forget it. */
    end(id: string, incoming: IncomingMessage): string;
  };
}

/** Sessions of browsers. */
export function addSessionRoutes(api: Api, { sessions }: SessionDeps): void {
  api.post("/v1/session/codes", (context) => {
    requireLocal(context);
    return context.json(sessions.createCode(), 201);
  });
  api.post("/v1/session", async (context) => {
    const login = parseRequest(dashboardLoginSchema, await readJson(context, MAX_LOGIN_BYTES));
    const incoming = incomingOf(context);
    const { cookie, name, isOwner } =
      "code" in login ? sessions.openWithCode(login.code, incoming) : sessions.openWithKey(login.key, incoming);
    context.header("set-cookie", cookie);
    context.header("cache-control", "no-store");
    return context.json({ name, isOwner } satisfies DashboardSession, 201);
  });
  api.get("/v1/session", (context) => {
    const { caller } = context.env;
    if (caller.via === "socket") return context.json({ name: "local", isOwner: true } satisfies DashboardSession);
    const isOwner = caller.via === "tcp" && caller.session?.isOwner === true;
    return context.json({ name: caller.key.name, isOwner } satisfies DashboardSession);
  });
  api.delete("/v1/session", (context) => {
    const { caller } = context.env;
    if (caller.via !== "tcp" || caller.session === undefined)
      throw new FirebreakError("INVALID_ARGUMENT", "the request comes without a session", {
        hint: "Only browsers have one; an API key is revoked with: firebreak key revoke NAME",
      });
    context.header("set-cookie", sessions.end(caller.session.id, incomingOf(context)));
    return context.body(null, 204);
  });
}

const incomingOf = (context: ApiContext) => context.env.incoming as IncomingMessage;
