import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import http, { type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { Duplex } from "node:stream";

/** Takes over a connection that leaves HTTP. */
export type OnUpgrade = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Whatever else a client offers to upgrade to (curl: HTTP/2) it does without, as HTTP has it. */
export const isWebSocketUpgrade = (incoming: IncomingMessage) =>
  incoming.headers.upgrade?.toLowerCase() === "websocket";

/**
 * Serves HTTP on a UNIX socket that only its owner may open. The caller holds the instance lock, so a socket that is there
 * already is a dead daemon's.
 */
export async function listen(socketPath: string, onRequest: RequestListener, onUpgrade: OnUpgrade): Promise<Server> {
  rmSync(socketPath, { force: true });
  const server = http.createServer(
    { keepAliveTimeout: 30_000, requestTimeout: 0, shouldUpgradeCallback: isWebSocketUpgrade },
    onRequest,
  );
  server.on("upgrade", onUpgrade);
  const umask = process.umask(0o177);
  server.listen(socketPath);
  process.umask(umask);
  await once(server, "listening");
  chmodSync(socketPath, 0o600);
  return server;
}
