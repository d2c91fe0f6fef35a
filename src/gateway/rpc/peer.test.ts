import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "../../../test/support/has-code.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { RpcError } from "./messages.ts";
import { RpcPeer, type RpcPeerOptions } from "./peer.ts";

type Sent = {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { code: number };
};

function open(options: Partial<RpcPeerOptions> = {}) {
  const sent: Sent[] = [];
  const noise: string[] = [];
  const closed: FirebreakError[] = [];
  const peer = new RpcPeer({
    server: "fake",
    onNotification: () => {},
    onRequest: async () => ({}),
    onNoise: (what) => void noise.push(what),
    onClosed: (error) => void closed.push(error),
    ...options,
  });
  const { events } = peer;
  peer.attach({ write: async (line) => void sent.push(JSON.parse(line)), close: () => {} });
  const say = (message: unknown) =>
    events.onOutput(Buffer.from(`${typeof message === "string" ? message : JSON.stringify(message)}\n`));
  return { peer, sent, noise, closed, say, events };
}

test("answers find their requests, in whatever order they come", async () => {
  const { peer, sent, say } = open();
  const [first, second] = [peer.request("a", { x: 1 }), peer.request("b", {})];
  await sleep(0);
  say({ jsonrpc: "2.0", id: sent[1]?.id, result: { of: "b" } });
  say({ jsonrpc: "2.0", id: sent[0]?.id, result: { of: "a" } });
  assert.deepEqual(await Promise.all([first, second]), [{ of: "a" }, { of: "b" }]);
});

test("an error is thrown as the server's; an answer twice, or to nothing, is noise", async () => {
  const { peer, sent, say, noise } = open();
  const asked = peer.request("a", {});
  await sleep(0);
  say("Listening on stdio");
  say({ jsonrpc: "2.0", id: sent[0]?.id, error: { code: -32000, message: "no" } });
  say({ jsonrpc: "2.0", id: sent[0]?.id, result: {} });
  await assert.rejects(asked, (error: RpcError) => error instanceof RpcError && error.code === -32000);
  assert.equal(noise.length, 2);
});

test("what others were answered is read once more without a word; an answer twice is noise all the same", async () => {
  const { peer, sent, say, noise } = open({ isResumed: true });
  say({ jsonrpc: "2.0", id: 0, result: {} });
  const asked = peer.request("a", {});
  await sleep(0);
  say({ jsonrpc: "2.0", id: sent[0]?.id, result: {} });
  await asked;
  assert.deepEqual(noise, []);
  say({ jsonrpc: "2.0", id: sent[0]?.id, result: {} });
  assert.equal(noise.length, 1);
});

test("two attachments to one server never take each other's answers", async () => {
  const ids = new Set<unknown>();
  for (let count = 0; count < 50; count++) {
    const { peer, sent } = open();
    void peer.request("a", {}).catch(() => {});
    await sleep(0);
    ids.add(sent[0]?.id);
    assert.ok(Number.isSafeInteger(sent[0]?.id));
  }
  assert.equal(ids.size, 50);
});

test("a request that is given up tells the server, and a late answer is nobody's", async () => {
  const { peer, sent, say } = open();
  const aborter = new AbortController();
  const asked = peer.request("slow", {}, { signal: aborter.signal });
  await sleep(0);
  aborter.abort();
  await assert.rejects(asked, hasCode("OPERATION_CANCELED"));
  assert.equal(sent[1]?.method, "notifications/cancelled");
  assert.equal(sent[1]?.params?.requestId, sent[0]?.id);
  say({ jsonrpc: "2.0", id: sent[0]?.id, result: {} });
  assert.equal(peer.pendingCount, 0);
  await assert.rejects(peer.request("slow", {}, { timeoutMs: 5 }), hasCode("DEADLINE_EXCEEDED"));
});

test("what a request is part of goes beside its line, and no other line has it", async () => {
  const headers: unknown[] = [];
  const { peer } = open();
  peer.attach({ write: async (_line, beside) => void headers.push(beside), close: () => {} });
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  void peer.request("a", { _meta: { traceparent, other: "x" } }).catch(() => {});
  void peer.request("b", { _meta: { traceparent: "none" } }).catch(() => {});
  peer.notify("c");
  await sleep(0);
  assert.deepEqual(headers, [{ traceparent }, {}, {}]);
  peer.close();
});

test("progress goes to the request that it is of", async () => {
  const { peer, sent, say } = open();
  const heard: unknown[] = [];
  const asked = peer.request("a", { _meta: { traceparent: "t" } }, { onProgress: (params) => void heard.push(params) });
  await sleep(0);
  assert.deepEqual(sent[0]?.params?._meta, { traceparent: "t", progressToken: sent[0]?.id });
  say({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: sent[0]?.id, progress: 1 } });
  say({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "other", progress: 2 } });
  say({ jsonrpc: "2.0", id: sent[0]?.id, result: {} });
  await asked;
  assert.deepEqual(heard, [{ progress: 1 }]);
});

test("what the server asks is answered, and a ping without anybody", async () => {
  const { sent, say } = open({
    onRequest: async (method) => {
      if (method === "bad") throw new RpcError({ code: -32601, message: "no" });
      return { method };
    },
  });
  say({ jsonrpc: "2.0", id: 7, method: "ping" });
  say({ jsonrpc: "2.0", id: 8, method: "elicitation/create", params: {} });
  say({ jsonrpc: "2.0", id: 9, method: "bad" });
  await sleep(1);
  assert.deepEqual(sent.map(({ id, result, error }) => [id, result ?? error?.code]).sort(), [
    [7, {}],
    [8, { method: "elicitation/create" }],
    [9, -32601],
  ]);
});

test("a server that asks without end is refused beyond a number", async () => {
  const { sent, say } = open({ onRequest: () => new Promise(() => {}) });
  for (let id = 0; id < 100; id++) say({ jsonrpc: "2.0", id, method: "elicitation/create" });
  await sleep(1);
  assert.equal(sent.length, 36);
  assert.ok(sent.every(({ error }) => error?.code === -32600));
});

test("the server's end fails what is under way, once, and all that comes after", async () => {
  const { peer, events, closed } = open();
  const asked = peer.request("a", {});
  await sleep(0);
  events.onClosed(new FirebreakError("SERVER_FAILED", "the server 'fake' has ended with code 1"));
  events.onClosed(new FirebreakError("SERVER_FAILED", "again"));
  await assert.rejects(asked, hasCode("SERVER_FAILED"));
  await assert.rejects(peer.request("b", {}), hasCode("SERVER_FAILED"));
  assert.equal(closed.length, 1);
});

test("a server that does not read keeps nobody waiting, nor what it is sent without end", async () => {
  const peer = new RpcPeer({
    server: "fake",
    onNotification: () => {},
    onRequest: async () => ({}),
    onNoise: () => {},
    onClosed: () => {},
  });
  peer.attach({ write: () => new Promise(() => {}), close: () => {} });
  await assert.rejects(peer.request("a", {}, { timeoutMs: 5 }), hasCode("DEADLINE_EXCEEDED"));
  const text = "x".repeat(20 * 1024 * 1024);
  const asked = [1, 2, 3, 4].map(() => peer.request("a", { text }).catch((error: FirebreakError) => error));
  assert.ok(hasCode("SERVER_BUSY")(await Promise.race(asked)));
});

test("an answer that is none is an error to who waits for it, and to nobody else", async () => {
  const { peer, sent, say } = open();
  const asked = [1, 2, 3, 4].map((x) => peer.request("a", { x }));
  await sleep(0);
  const [huge, deep, odd, good] = sent.map(({ id }) => id);
  say(`{"result":{"text":"${"x".repeat(17 * 1024 * 1024)}"},"jsonrpc":"2.0","id":${huge}}`);
  say(`{"jsonrpc":"2.0","id":${deep},"result":{"a":${"[".repeat(300)}${"]".repeat(300)}}}`);
  say({ jsonrpc: "2.0", id: odd, result: "text" });
  say(`received {"jsonrpc":"2.0","id":${good},"method":"a"}`);
  say({ jsonrpc: "2.0", id: good, result: {} });
  const outcomes = await Promise.allSettled(asked);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["rejected", "rejected", "rejected", "fulfilled"],
  );
  await assert.rejects(asked[0] as Promise<unknown>, /the server 'fake' has answered with what is no message/);
});
