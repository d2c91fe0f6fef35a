import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:http2";
import { type Contract, readAll, waitUntil } from "../../test/support/guest-contract.ts";
import { hasCode } from "../../test/support/has-code.ts";
import { encodeJsonFrame, FRAME } from "../contract/frames.ts";
import type { GuestClient } from "./client.ts";

/** Programs that listen in the guest; each takes `server`, a listening socket. */
const ECHO = `
while True:
    c, _ = server.accept()
    while True:
        data = c.recv(65536)
        if not data: break
        c.sendall(data)
    c.close()`;
const GREET_THEN_COUNT = `
c, _ = server.accept()
c.sendall(b"hello")
c.shutdown(socket.SHUT_WR)
total = 0
while True:
    data = c.recv(65536)
    if not data: break
    total += len(data)
note("counted", str(total))`;
const RESET = `
c, _ = server.accept()
c.recv(1)
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()`;
const NOTE_RESET = `
c, _ = server.accept()
c.recv(100)
c.sendall(b"got it")
try:
    note("ended", "in order" if not c.recv(100) else "more")
except ConnectionResetError:
    note("ended", "reset")`;

/** Runs `script` in the guest until `work`, which gets its port, is done. */
async function withListener(
  client: GuestClient,
  scratch: string,
  script: string,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const id = `listener-${randomUUID()}`;
  const frame = `import os, socket, struct
def note(name, text):
    with open("${scratch}/" + name + ".new", "w") as file: file.write(text)
    os.rename("${scratch}/" + name + ".new", "${scratch}/" + name)
server = socket.create_server(("127.0.0.1", 0), backlog=64)
note("port-${id}", str(server.getsockname()[1]))
`;
  await client.makeDirectory(scratch, { parents: true });
  const stream = await client.openExec();
  stream.end(encodeJsonFrame(FRAME.spec, { id, argv: ["python3", "-c", frame + script] }));
  await client.awaitHead(stream, "/v1/exec");
  stream.resume();
  try {
    let port = 0;
    await waitUntil(async () => {
      port = Number(
        await client
          .readFile(`${scratch}/port-${id}`, {})
          .then(({ body }) => readAll(body))
          .catch(() => 0),
      );
      return port > 0;
    });
    await work(port);
  } finally {
    await client.execKill(id, 0);
    stream.destroy();
    await waitUntil(async () => (await client.execGet(id)).state === "exited");
    await client.execDelete(id);
  }
}

/** Connections to what listens in the guest. */
export function testConnectContract(contract: Contract): void {
  contract("connects to what listens in it, and each direction ends by itself", async ({ client, scratch }) => {
    await withListener(client, scratch, ECHO, async (port) => {
      const stream = await client.connect({ port });
      const sent = randomBytes(2 * 1024 * 1024);
      stream.end(sent);
      assert.ok((await readAll(stream)).equals(sent));
    });
    // What listens ends its side first and still hears what comes.
    await withListener(client, scratch, GREET_THEN_COUNT, async (port) => {
      const stream = await client.connect({ port, host: "127.0.0.1" });
      assert.equal(String(await readAll(stream)), "hello");
      stream.end(Buffer.alloc(300_000));
      const counted = async () => String(await readAll((await client.readFile(`${scratch}/counted`, {})).body));
      await waitUntil(async () => (await counted().catch(() => "")) === "300000");
    });
  });

  contract("says that nothing listens, and refuses what is no target", async ({ client, scratch }) => {
    let free = 0;
    await withListener(client, scratch, ECHO, async (port) => {
      free = port;
    });
    await assert.rejects(client.connect({ port: free }), hasCode("CONNECTION_REFUSED"));
    await assert.rejects(client.connect({ path: `${scratch}/no-socket` }), hasCode("FILE_NOT_FOUND"));
    for (const target of [{ port: 0 }, { port: 65_536 }, { port: 80, host: "localhost" }, { path: "relative" }])
      await assert.rejects(client.connect(target), hasCode("INVALID_ARGUMENT"), JSON.stringify(target));
  });

  contract("what is broken off on either side is a break on the other", async ({ client, scratch }) => {
    await withListener(client, scratch, RESET, async (port) => {
      const stream = await client.connect({ port });
      // A reset that is quicker than the connection's own answer is a connection that failed.
      stream.write("x");
      await assert.rejects(readAll(stream));
      assert.equal(stream.rstCode, constants.NGHTTP2_CONNECT_ERROR);
    });
    await withListener(client, scratch, NOTE_RESET, async (port) => {
      const stream = await client.connect({ port });
      stream.write("half of it");
      assert.equal(String((await once(stream, "data"))[0]), "got it");
      stream.destroy();
      const noted = async () => String(await readAll((await client.readFile(`${scratch}/ended`, {})).body));
      await waitUntil(async () => (await noted().catch(() => "")) === "reset");
    });
  });
}
