import type { IncomingMessage } from "node:http";
import { readTraceContext } from "../telemetry/trace-context.ts";
import { duringRequest } from "../telemetry/tracing.ts";

/** Answers a request as part of what its headers tell of. */
export function inTraceOf<T>(incoming: IncomingMessage, answer: () => T): T {
  // A UNIX socket has no address.
  const via = incoming.socket.remoteAddress === undefined ? "unix" : "tcp";
  return duringRequest(readTraceContext(incoming.headers), via, answer);
}
