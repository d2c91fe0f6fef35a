import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import net, { type Socket } from "node:net";
import { test } from "node:test";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { relay } from "../../src/platform/relay.ts";
import { startHttpGuest } from "../support/hostile-guest.ts";

/** A client of this host that is connected, through a relay, to what a guest of the test's making does with the stream. */
async function withRelay(
  onStream: (stream: ServerHttp2Stream) => void,
  work: (client: Socket, done: Promise<void>) => Promise<void>,
  stallMs = 60_000,
): Promise<void> {
  const guest = await startHttpGuest((stream) => onStream(stream));
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = net.connect({ port: (server.address() as net.AddressInfo).port, allowHalfOpen: true });
  client.on("error", () => {});
  const [socket] = (await once(server, "connection")) as [Socket];
  socket.on("error", () => {});
  try {
    const stream = await guest.client.connect({ port: 1 });
    const signal = new AbortController().signal;
    await work(client, relay(socket, stream, { onBytes: () => {}, stallMs, signal }));
  } finally {
    client.destroy();
    socket.destroy();
    server.close();
    guest.close();
  }
}

const closeOf = (client: Socket) =>
  new Promise<string>((resolve) => {
    client.resume();
    client.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    client.once("end", () => resolve("end"));
  });

test("a guest that answers a connection with nonsense or not at all is an error of its own", async () => {
  for (const [status, body] of [
    [502, '{"error":{"code":"REFUSED","message":"no\\u001b[2J"}}'],
    [500, "x"],
    [404, ""],
  ] as const) {
    const guest = await startHttpGuest((stream) => {
      stream.respond({ ":status": status });
      stream.end(body);
    });
    const outcome = await guest.client.connect({ port: 1 }).catch((error: unknown) => error);
    assert.ok(outcome instanceof FirebreakError && !outcome.message.includes("\u001b"), String(outcome));
    guest.close();
  }
  const silent = await startHttpGuest(() => {});
  await assert.rejects(silent.client.connect({ port: 1 }, { deadlineMs: 200 }), { code: "GUEST_UNREACHABLE" });
  silent.close();
});

test("a guest that breaks off resets its client, whatever it says of why", async () => {
  for (const code of [constants.NGHTTP2_CONNECT_ERROR, constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR]) {
    await withRelay(
      (stream) => {
        stream.respond({ ":status": 200 });
        // Node ends a stream in order before it resets it.
        Object.assign(stream, { end: () => stream });
        stream.write("half of it", () => stream.close(code));
      },
      async (client, done) => {
        assert.equal(await closeOf(client), "ECONNRESET", String(code));
        await done;
      },
    );
  }
});

test("a channel that is lost is no end of what was under way", async () => {
  await withRelay(
    (stream) => {
      stream.respond({ ":status": 200 });
      stream.write("half of it", () => stream.session?.destroy());
    },
    async (client, done) => {
      assert.equal(await closeOf(client), "ECONNRESET");
      await done;
    },
  );
});

test("a guest that never stops sending fills no memory of a client that does not read", async () => {
  await withRelay(
    (stream) => {
      stream.respond({ ":status": 200 });
      const more = () => {
        while (!stream.destroyed && stream.write(Buffer.alloc(65_536)));
      };
      stream.on("drain", more);
      more();
    },
    async (client, done) => {
      const before = process.memoryUsage.rss();
      await new Promise((resolve) => setTimeout(resolve, 500));
      assert.ok(process.memoryUsage.rss() - before < 100 * 1024 * 1024);
      client.resetAndDestroy();
      await done;
    },
  );
});

test("a guest that takes nothing and a client that has left do not hold a connection for ever", async () => {
  await withRelay(
    (stream) => {
      stream.respond({ ":status": 200 });
      stream.pause();
    },
    async (client, done) => {
      client.end(Buffer.alloc(4 * 1024 * 1024));
      await done;
    },
    300,
  );
});
