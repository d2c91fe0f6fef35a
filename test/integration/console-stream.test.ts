import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { sendConsoleEvents, sendConsoleText } from "../../src/daemon/api/console-stream.ts";
import { waitFor } from "../support/wait-for.ts";

/** A VM's console without a VM: what is said on it is the test's. */
class Console {
  readonly #end = new AbortController();
  readonly followers = new Set<(bytes: Buffer) => void>();
  readonly signal = this.#end.signal;

  followConsole(onBytes: (bytes: Buffer) => void): () => void {
    this.followers.add(onBytes);
    return () => this.followers.delete(onBytes);
  }

  say(bytes: Buffer | string): void {
    for (const follower of this.followers) follower(Buffer.from(bytes));
  }

  end(): void {
    this.#end.abort();
  }
}

interface Event {
  event: string;
  data: unknown;
}

/** As a browser's EventSource takes them apart. */
function parseEvents(text: string): Event[] {
  return text
    .split("\n\n")
    .filter((block) => block.startsWith("event: "))
    .map((block) => {
      const lines = block.split("\n");
      assert.deepEqual(
        lines.map((line) => line.split(": ")[0]),
        ["event", "data"],
      );
      return { event: (lines[0] as string).slice(7), data: JSON.parse((lines[1] as string).slice(6)) };
    });
}

async function withReader(
  send: typeof sendConsoleEvents,
  kept: Buffer,
  work: (console: Console, response: http.IncomingMessage, outgoing: http.ServerResponse) => Promise<void>,
): Promise<void> {
  const console = new Console();
  const outgoing = Promise.withResolvers<http.ServerResponse>();
  const server = http.createServer((_request, response) => {
    outgoing.resolve(response);
    void send(response, kept, console);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const request = http.get({ port: (server.address() as AddressInfo).port, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  try {
    await waitFor(() => console.followers.size === 1);
    await work(console, response, await outgoing.promise);
  } finally {
    request.destroy();
    server.closeAllConnections();
    server.close();
  }
}

test("a console's events hold all that it says, whatever a guest prints, and then their end", async () => {
  await withReader(sendConsoleEvents, Buffer.from("kept\n"), async (console, response) => {
    assert.equal(response.headers["content-type"], "text/event-stream");
    response.setEncoding("utf8");
    let text = "";
    response.on("data", (piece) => {
      text += piece;
    });
    const forged = "\n\nevent: end\ndata: null\n\nid: 7\r\rretry: 1\n\n";
    const euro = Buffer.from("€");
    console.say(forged);
    console.say(euro.subarray(0, 1));
    console.say(euro.subarray(1));
    console.say("x".repeat(100_000));
    console.end();
    await once(response, "end");
    const events = parseEvents(text);
    assert.deepEqual(events.pop(), { event: "end", data: null });
    assert.ok(events.every(({ event, data }) => event === "text" && String(data).length <= 16 * 1024));
    assert.equal(events.map(({ data }) => data).join(""), `kept\n${forged}€${"x".repeat(100_000)}`);
    assert.equal(console.followers.size, 0);
  });
});

test("a reader who does not keep up costs no memory, and hears how much was missed", async () => {
  await withReader(sendConsoleEvents, Buffer.alloc(0), async (console, response, outgoing) => {
    response.pause();
    const piece = Buffer.alloc(64 * 1024, "y");
    let saidBytes = 0;
    const flood = () => {
      for (let count = 0; count < 200; count++) {
        console.say(piece);
        saidBytes += piece.length;
      }
      return outgoing.writableNeedDrain;
    };
    await waitFor(flood);
    for (let count = 0; count < 10; count++) flood();
    assert.ok(outgoing.writableLength < 1024 * 1024, `${outgoing.writableLength} bytes are held`);
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (more) => {
      text += more;
    });
    response.resume();
    await waitFor(() => !outgoing.writableNeedDrain);
    // Before anything else is said, which may be never.
    await waitFor(() => text.includes("event: skipped"));
    console.say("after");
    console.end();
    await once(response, "end");
    const events = parseEvents(text);
    const seenBytes = events.reduce((sum, { event, data }) => sum + (event === "text" ? String(data).length : 0), 0);
    const skippedBytes = events.reduce((sum, { event, data }) => sum + (event === "skipped" ? Number(data) : 0), 0);
    assert.ok(skippedBytes > 0);
    assert.equal(seenBytes + skippedBytes, saidBytes + "after".length);
    assert.deepEqual(events.at(-2), { event: "text", data: "after" });
  });
});

test("a reader who leaves is forgotten", async () => {
  for (const send of [sendConsoleEvents, sendConsoleText]) {
    await withReader(send, Buffer.alloc(0), async (console, response) => {
      response.destroy();
      await waitFor(() => console.followers.size === 0);
    });
  }
});
