import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findAnsweredIds, parseMessage } from "./messages.ts";

const parse = (value: unknown) => parseMessage(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));

test("requests, notifications, results and errors are told apart", () => {
  assert.deepEqual(parse({ jsonrpc: "2.0", id: 1, method: "ping" }), {
    kind: "request",
    id: 1,
    method: "ping",
    params: {},
  });
  assert.deepEqual(parse({ jsonrpc: "2.0", method: "note", params: { a: 1 } }), {
    kind: "notification",
    method: "note",
    params: { a: 1 },
  });
  assert.deepEqual(parse({ jsonrpc: "2.0", id: "x", result: { ok: true } }), {
    kind: "result",
    id: "x",
    result: { ok: true },
  });
  const error = { code: -32601, message: "no", data: [1] };
  assert.deepEqual(parse({ jsonrpc: "2.0", id: 2, error }), { kind: "error", id: 2, error });
  assert.deepEqual(parse({ jsonrpc: "2.0", id: null, error }), { kind: "error", id: null, error });
});

test("what is no message is none", () => {
  for (const text of [
    "Server running on stdio",
    "{broken",
    "[]",
    '"text"',
    "null",
    '{"jsonrpc":"1.0","id":1,"result":{}}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":"2.0","id":1,"result":5}',
    '{"jsonrpc":"2.0","id":null,"result":{}}',
    '{"jsonrpc":"2.0","id":{},"result":{}}',
    '{"jsonrpc":"2.0","id":1,"error":"no"}',
    '{"jsonrpc":"2.0","id":1,"method":5}',
    '{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}',
  ])
    assert.equal(parse(text), undefined, text);
});

test("what is nested deeper than any program's stack is refused before it is read", () => {
  const deep = (levels: number) => `{"jsonrpc":"2.0","id":1,"result":{"a":${"[".repeat(levels)}${"]".repeat(levels)}}}`;
  assert.equal(parse(deep(200))?.kind, "result");
  assert.equal(parse(deep(300)), undefined);
  assert.equal(parse(deep(2_000_000)), undefined);
  const text = `{"jsonrpc":"2.0","id":1,"result":{"a":"${'\\"['.repeat(1000)}"}}`;
  assert.equal(parse(text)?.kind, "result");
});

test("whatever bytes come, there is a message or none", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map(Buffer.from),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        parseMessage(bytes);
      },
    ),
  );
});

test("what a malformed answer is to is found at its ends, and in nothing that is no answer", () => {
  const ids = (line: string) => findAnsweredIds(Buffer.from(line));
  const long = "x".repeat(10_000);
  assert.deepEqual(ids(`{"jsonrpc":"2.0","id":12,"result":{"a":"${long}`), [12]);
  assert.deepEqual(ids(`{"result":{"a":"${long}"},"jsonrpc":"2.0","id":13}`).slice(0, 1), [13]);
  assert.deepEqual(ids(`got {"jsonrpc":"2.0","id":12,"method":"tools/call"}`), []);
  assert.deepEqual(ids(`{ jsonrpc: '2.0', "id": 12 }`), []);
});
