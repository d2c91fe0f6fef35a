import { findRemote } from "../client/connect.ts";
import type { Endpoint } from "../client/endpoint.ts";
import { ensureDaemon } from "../client/ensure-daemon.ts";
import { SocketEndpoint } from "../client/socket-endpoint.ts";
import { resolvePaths } from "../platform/paths.ts";

/** Carries MCP between a client on stdin and stdout and an endpoint of a daemon's: this host's, or the one that the environment names. Ends the process. */
export async function serveThroughDaemon(path: string, env: NodeJS.ProcessEnv = process.env): Promise<never> {
  const { serveBridge } = await import("../mcp/bridge/serve.ts");
  const remote = await findRemote(env);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stopping.abort());
  await serveBridge({
    input: process.stdin,
    output: process.stdout,
    stop: stopping.signal,
    reach: async () => remote ?? reachLocal(),
    peek: async () => remote ?? new SocketEndpoint(resolvePaths().socket),
    path,
  });
  // The client is gone: nothing that still waits may hold the process.
  process.exit(0);
}

/** Read at each attempt, so that it works also where no daemon can run yet. */
async function reachLocal(): Promise<Endpoint> {
  const paths = resolvePaths();
  await ensureDaemon(paths);
  return new SocketEndpoint(paths.socket);
}
