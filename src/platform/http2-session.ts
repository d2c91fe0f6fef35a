import type { Http2Session } from "node:http2";
import type { Duplex } from "node:stream";

/**
 * Opens a session of HTTP/2 on a socket that may hold bytes already. Node hands them to the session a tick later (the constructor of Http2Session in
 * lib/internal/http2/core.js), also when it has been destroyed by then, which throws where nobody can catch it and ends the process. From a session's
 * end on, its socket has nothing to read.
 */
export function openSession<T extends Http2Session>(socket: Duplex, open: () => T): T {
  const session = open();
  const read = socket.read;
  socket.read = (size?: number) => (session.destroyed ? null : read.call(socket, size));
  return session;
}
