import assert from "node:assert/strict";
import { test } from "node:test";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import fc from "fast-check";
import { decodeEventId, EventBuffer } from "./event-buffer.ts";

const note = (text: string): JSONRPCMessage => ({ jsonrpc: "2.0", method: "note", params: { text } });
const read = async (buffer: EventBuffer, after: string) => {
  const texts: unknown[] = [];
  await buffer.replayEventsAfter(after, {
    send: async (_id, message) => void texts.push(("params" in message ? message.params : {})?.text),
  });
  return texts;
};

test("what came after an event is told again, of its stream alone", async () => {
  const buffer = new EventBuffer(() => [7]);
  const begun = await buffer.storeEvent("a", {} as JSONRPCMessage);
  const first = await buffer.storeEvent("a", note("1"));
  await buffer.storeEvent("b", note("other"));
  await buffer.storeEvent("a", note("2"));
  assert.deepEqual(await read(buffer, begun), ["1", "2"]);
  assert.deepEqual(await read(buffer, first), ["2"]);
  assert.deepEqual(decodeEventId(first)?.requestIds, [7]);
  buffer.forget("a");
  assert.deepEqual(await read(buffer, begun), []);
});

test("events of another buffer are not known, but name what they were the answer to", async () => {
  const id = await new EventBuffer(() => ["call"]).storeEvent("a", note("1"));
  assert.equal(await new EventBuffer(() => []).getStreamIdForEventId(id), undefined);
  assert.deepEqual(decodeEventId(id)?.requestIds, ["call"]);
});

test("a stream keeps its newest events, and all of them together so many bytes", async () => {
  const buffer = new EventBuffer(() => []);
  const begun = await buffer.storeEvent("a", note("0"));
  for (let count = 1; count < 200; count++) await buffer.storeEvent("a", note(String(count)));
  const kept = await read(buffer, begun);
  assert.equal(kept.length, 64);
  assert.equal(kept.at(-1), "199");
  for (let count = 0; count < 20; count++) await buffer.storeEvent(`s${count}`, note("x".repeat(1024 * 1024)));
  assert.deepEqual(await read(buffer, begun), []);
});

test("event ids that somebody made up decode to nothing", () => {
  fc.assert(
    fc.property(fc.string(), fc.json(), (text, json) => {
      for (const id of [text, Buffer.from(json).toString("base64url")]) {
        const position = decodeEventId(id);
        if (position !== undefined) assert.ok(Array.isArray(position.requestIds));
      }
    }),
  );
  assert.equal(decodeEventId(Buffer.from('["n",1,"s",[{}]]').toString("base64url")), undefined);
});
