import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import http, { type RequestListener, type Server } from "node:http";

/**
 * Serves HTTP on a UNIX socket that only its owner may open. The caller holds the instance lock, so a socket that is there
 * already is a dead daemon's.
 */
export async function listen(socketPath: string, onRequest: RequestListener): Promise<Server> {
  rmSync(socketPath, { force: true });
  const server = http.createServer({ keepAliveTimeout: 30_000, requestTimeout: 0 }, onRequest);
  const umask = process.umask(0o177);
  server.listen(socketPath);
  process.umask(umask);
  await once(server, "listening");
  chmodSync(socketPath, 0o600);
  return server;
}
