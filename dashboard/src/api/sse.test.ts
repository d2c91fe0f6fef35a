import assert from "node:assert/strict";
import { test } from "node:test";
import { SseParser } from "./sse.ts";

const STREAM = ':\n\nid: 1\ndata: {"a":"é"}\n\nid: 2\nevent: skipped\ndata: x\ndata: y\r\n\r\nid: 3\ndata:z\n\n';
const EVENTS = [
  { id: "1", event: "message", data: '{"a":"é"}' },
  { id: "2", event: "skipped", data: "x\ny" },
  { id: "3", event: "message", data: "z" },
];

test("events are the same, in whatever pieces they come", () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    assert.deepEqual(events, EVENTS, `${size} characters at a time`);
  }
});

test("what has not come whole is no event", () => {
  assert.deepEqual(new SseParser().push("id: 1\ndata: half\n"), []);
});
