import { mkdtempSync, rmSync } from "node:fs";
import http2 from "node:http2";
import net, { type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { GuestClient } from "../../src/guest/client.ts";
import { GuestConnection, type GuestConnectionOptions } from "../../src/guest/connection.ts";

/** A guest of the test's own making on a UNIX socket, with a real client of the host attached to it. */
export interface HostileGuest {
  client: GuestClient;
  connection: GuestConnection;
  close: () => void;
}

const NONCE = "ab".repeat(16);

/** A guest that does with the raw stream what it likes. */
export async function startRawGuest(
  onHost: (socket: Socket) => void,
  options: Pick<GuestConnectionOptions, "ping"> = {},
): Promise<HostileGuest> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-hostile-"));
  const socketPath = path.join(folder, "s");
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onHost(socket);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const open = () =>
    new Promise<Socket>((resolve) => {
      const socket: Socket = net.connect(socketPath, () => resolve(socket));
    });
  const connection = new GuestConnection({ open, attachDeadlineMs: 1_000, ...options });
  const close = () => {
    connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { client: new GuestClient(connection), connection, close };
}

/** Attaches in order, then hands the stream over at the first byte of HTTP/2. */
export function attachInOrder(socket: Socket, then: (socket: Socket) => void): void {
  socket.write(`\nfirebreak-agent 1 ${NONCE}\n`);
  let text = "";
  const onReadable = () => {
    for (let chunk = socket.read(1) as Buffer | null; chunk !== null; chunk = socket.read(1) as Buffer | null) {
      text += chunk.toString("latin1");
      const match = /\nattach [0-9a-f]{32} ([0-9a-f]{32})\n$/.exec(text);
      if (match === null) continue;
      socket.off("readable", onReadable);
      socket.write(`\nattached ${match[1]}\n`);
      then(socket);
      return;
    }
  };
  socket.on("readable", onReadable);
}

/** A guest that attaches and speaks HTTP/2, and answers as the test says. */
export function startHttpGuest(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
): Promise<HostileGuest> {
  const server = http2.createServer();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    onStream(stream, headers);
  });
  server.on("sessionError", () => {});
  return startRawGuest((socket) => attachInOrder(socket, (attached) => server.emit("connection", attached)));
}
