import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net, { type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openSession } from "./http2-session.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** The near end of a connection that holds what the far end has written. */
async function holding(bytes: Uint8Array | string): Promise<{ socket: Socket; close: () => void }> {
  const server = net.createServer({ pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  for (const each of [far, socket]) each.on("error", () => {});
  far.write("x");
  far.write(bytes);
  await once(socket, "readable");
  while (socket.readableLength < bytes.length + 1) await once(socket, "readable");
  assert.equal(String(socket.read(1)), "x");
  return {
    socket,
    close: () => {
      for (const each of [far, socket]) each.destroy();
      server.close();
    },
  };
}

test("a session that ends before it has been given what its socket holds harms nobody", async () => {
  for (const open of [
    (socket: Socket) => http2.performServerHandshake(socket),
    (socket: Socket) => http2.connect("http://x", { createConnection: () => socket }),
  ]) {
    const { socket, close } = await holding(PREFACE);
    const session = openSession(socket, () => open(socket) as http2.Http2Session);
    session.on("error", () => {});
    session.destroy();
    // What Node throws otherwise nobody can catch: it fails the test.
    await turn();
    assert.equal(session.destroyed, true);
    close();
  }
});

test("a session that goes on gets what its socket holds", async () => {
  const { socket, close } = await holding(Buffer.concat([Buffer.from(PREFACE), SETTINGS]));
  const session = openSession(socket, () => http2.performServerHandshake(socket));
  session.on("error", () => {});
  await once(session, "remoteSettings");
  session.destroy();
  close();
});
