import type { ForwardCreateParsed } from "../../contract/forward.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { isLoopback } from "../../platform/addresses.ts";
import type { ApiContext } from "./context.ts";

/** Throws LOCAL_CALLERS_ONLY for a caller over TCP: an API key must not be able to make others or to take the daemon away. */
export function requireLocal(context: ApiContext): void {
  if (context.env.caller.via === "socket") return;
  throw new FirebreakError("LOCAL_CALLERS_ONLY", `${context.req.method} ${context.req.path} is for local callers`, {
    hint: "Do it on the daemon's host, over its UNIX socket.",
  });
}

/**
 * The same, but for browsers of this host's owner: a session that was opened with a code of `firebreak dashboard` is as good as the UNIX socket for what
 * somebody looks at and then decides.
 */
export function requireOwner(context: ApiContext): void {
  const { caller } = context.env;
  if (caller.via !== "tcp" || caller.session?.isOwner !== true) requireLocal(context);
}

/** The same for ports that other machines would get in by: whether this host's network is let in is for its own users to say. */
export function requireLocalForOpenPorts(context: ApiContext, forwards: readonly ForwardCreateParsed[]): void {
  if (forwards.some(({ hostAddress }) => !isLoopback(hostAddress))) requireLocal(context);
}
