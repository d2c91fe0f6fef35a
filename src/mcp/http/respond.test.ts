import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { respond } from "./respond.ts";

/** A response whose reader takes `roomBytes` at once and the rest when it is read. */
function fakeOutgoing(roomBytes: number) {
  const stream = new PassThrough({ highWaterMark: roomBytes });
  return Object.assign(stream, { writeHead: () => {}, flushHeaders: () => {} });
}

const EVENTS = { headers: { "content-type": "text/event-stream" } };

/** A body without end, and how many chunks of it have been asked for. */
function endless() {
  const source = { pulled: 0, isCancelled: false, body: new ReadableStream<Uint8Array>() };
  source.body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        source.pulled++;
        controller.enqueue(Buffer.alloc(1024));
      },
      cancel: () => {
        source.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return source;
}

test("a reader that takes nothing is waited for a while, and then given up with what it asked for", async () => {
  const source = endless();
  const outgoing = fakeOutgoing(4096);
  assert.equal(await respond(outgoing, new Response(source.body, EVENTS), 30), false);
  assert.equal(source.isCancelled, true);
  assert.equal(outgoing.destroyed, true);
  assert.ok(source.pulled < 10, `${source.pulled}`);
});

test("a slow reader gets all of it, at its pace", async () => {
  const outgoing = fakeOutgoing(16);
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of outgoing) {
      bytes += (chunk as Buffer).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const body = new Blob([Buffer.alloc(10_000)]).stream();
  assert.equal(await respond(outgoing, new Response(body, EVENTS)), true);
  await reading;
  assert.equal(bytes, 10_000);
});

test("a reader that hangs up is told of to the source", async () => {
  const source = endless();
  const outgoing = fakeOutgoing(1024);
  outgoing.once("data", () => outgoing.destroy());
  assert.equal(await respond(outgoing, new Response(source.body, EVENTS)), false);
  assert.equal(source.isCancelled, true);
});

test("a source that breaks off leaves an answer that does not look whole", async () => {
  const outgoing = fakeOutgoing(1024);
  const body = new ReadableStream({ start: (controller) => controller.error(new Error("broken")) });
  assert.equal(await respond(outgoing, new Response(body, EVENTS)), false);
  assert.equal(outgoing.destroyed, true);
});
