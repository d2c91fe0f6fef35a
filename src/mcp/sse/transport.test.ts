import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SseTransport } from "./transport.ts";

function open(options: { stallMs?: number; maxWaitingBytes?: number } = {}) {
  const stream = new PassThrough({ highWaterMark: 1024 });
  const outgoing = Object.assign(stream, { writeHead: () => {} });
  let closes = 0;
  const transport = new SseTransport({ outgoing, endpoint: "/m?sessionId=1", ...options });
  transport.onclose = () => void closes++;
  return { transport, outgoing, closes: () => closes };
}

const message = (bytes: number) => ({ jsonrpc: "2.0" as const, method: "x", params: { data: "x".repeat(bytes) } });

test("the stream begins with where messages go, and ends once", async () => {
  const { transport, outgoing, closes } = open();
  await transport.start();
  await transport.send(message(1));
  const text = String(outgoing.read());
  assert.match(text, /^event: endpoint\ndata: \/m\?sessionId=1\n\nevent: message\ndata: \{.*\}\n\n$/);
  await transport.close();
  await transport.close();
  assert.equal(closes(), 1);
  await assert.rejects(transport.send(message(1)));
});

test("a reader that takes nothing is waited for a while, and then its session ends", async () => {
  const { transport, outgoing, closes } = open({ stallMs: 20 });
  await transport.start();
  await transport.send(message(4096));
  assert.equal(outgoing.destroyed, false);
  await sleep(60);
  assert.equal(outgoing.destroyed, true);
  assert.equal(closes(), 1);
});

test("one that reads in time goes on", async () => {
  const { transport, outgoing, closes } = open({ stallMs: 200 });
  await transport.start();
  await transport.send(message(4096));
  outgoing.resume();
  await once(outgoing, "drain");
  await sleep(250);
  assert.equal(outgoing.destroyed, false);
  assert.equal(closes(), 0);
  await transport.close();
});

test("what waits for a reader is bounded", async () => {
  const { transport, outgoing } = open({ maxWaitingBytes: 100_000 });
  await transport.start();
  for (let count = 0; count < 9; count++) await transport.send(message(10_000));
  assert.equal(outgoing.destroyed, false);
  await transport.send(message(20_000));
  assert.equal(outgoing.destroyed, true);
});
