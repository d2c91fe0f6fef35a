import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { LineTransport } from "./line-transport.ts";

async function open(maxLineBytes?: number) {
  const input = new PassThrough();
  const output = new PassThrough();
  const transport = new LineTransport(input, output, maxLineBytes);
  const received: JSONRPCMessage[] = [];
  let endings = 0;
  transport.onmessage = (message) => void received.push(message);
  transport.onended = () => {
    endings++;
  };
  await transport.start();
  const sent = () =>
    String(output.read() ?? "")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { id: unknown; error?: { code: number } });
  return { input, output, transport, received, sent, endings: () => endings };
}

const ping = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;

test("messages come whatever the chunks, blank lines and line ends", async () => {
  const { input, received } = await open();
  const text = `${ping(1)}\r\n\n${JSON.stringify({ jsonrpc: "2.0", method: "note", params: { text: "ü€\n" } })}\n${ping(2)}\n`;
  for (const byte of Buffer.from(text)) input.write(Buffer.from([byte]));
  await delay(5);
  assert.equal(received.length, 3);
  assert.deepEqual((received[1] as { params: unknown }).params, { text: "ü€\n" });
});

test("a line that is no JSON, or no message, is answered with an error and the next is taken", async () => {
  const { input, received, sent } = await open();
  input.write(`{broken\n"text"\n{"jsonrpc":"1.0","id":7,"method":"x"}\n[]\n${ping(1)}\n`);
  await delay(5);
  assert.deepEqual(
    sent().map(({ id, error }) => [id, error?.code]),
    [
      [null, -32700],
      [null, -32600],
      [7, -32600],
      [null, -32600],
    ],
  );
  assert.equal(received.length, 1);
});

test("a line that is too long is refused and takes no memory, and the next is taken", async () => {
  const { input, received, sent } = await open(100);
  for (let count = 0; count < 50; count++) input.write("x".repeat(50));
  input.write(`\n${ping(1)}\n`);
  await delay(5);
  assert.deepEqual(
    sent().map(({ id, error }) => [id, error?.code]),
    [[null, -32600]],
  );
  assert.equal(received.length, 1);
});

test("a batch is taken message by message", async () => {
  const { input, received } = await open();
  input.write(`[${ping(1)},${ping(2)}]\n`);
  await delay(5);
  assert.equal(received.length, 2);
});

test("it is idle when all requests have been answered or cancelled", async () => {
  const { input, transport } = await open();
  input.write(`${ping(1)}\n${ping(2)}\n`);
  await delay(5);
  let isIdle = false;
  const idle = transport.whenIdle(10_000).then(() => {
    isIdle = true;
  });
  await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
  await delay(5);
  assert.equal(isIdle, false);
  input.write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}\n');
  await idle;
});

test("it is not idle while an answer is on its way out", async () => {
  const { input, output, transport } = await open();
  input.write(`${ping(1)}\n`);
  await delay(5);
  const text = "x".repeat(4 * output.writableHighWaterMark);
  for (const id of ["one", "two"])
    void transport.send({ jsonrpc: "2.0", method: "notifications/message", params: { id, text } });
  const sent = transport.send({ jsonrpc: "2.0", id: 1, result: { text } });
  let isIdle = false;
  const idle = transport.whenIdle(10_000).then(() => {
    isIdle = true;
  });
  await delay(5);
  assert.equal(isIdle, false);
  output.resume();
  await Promise.all([sent, idle]);
});

test("the end of the input is told once and the transport still answers", async () => {
  const { input, transport, sent, endings } = await open();
  input.end(`${ping(1)}\n`);
  await delay(5);
  assert.equal(endings(), 1);
  await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
  assert.equal(sent().length, 1);
});

test("an output that breaks is an end, not a crash", async () => {
  const { output, transport, endings } = await open();
  output.destroy(new Error("EPIPE"));
  await delay(5);
  await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
  assert.equal(endings(), 1);
});
