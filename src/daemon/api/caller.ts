import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ApiContext } from "./context.ts";

/** Throws LOCAL_CALLERS_ONLY for a caller over TCP: an API key must not be able to make others or to take the daemon away. */
export function requireLocal(context: ApiContext): void {
  if (context.env.caller.via === "socket") return;
  throw new FirebreakError("LOCAL_CALLERS_ONLY", `${context.req.method} ${context.req.path} is for local callers`, {
    hint: "Do it on the daemon's host, over its UNIX socket.",
  });
}
