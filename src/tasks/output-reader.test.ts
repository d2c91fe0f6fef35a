import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentReader } from "./agents/agent.ts";
import { MAX_LINE_BYTES, OUTPUT_START, OutputReader, type OutputStream, type ReadEvent } from "./output-reader.ts";

const bytesOf = (events: ReadEvent[], stream: OutputStream) =>
  Buffer.concat(
    events.map((event) =>
      event.type === "output" && event.stream === stream
        ? event.text !== undefined
          ? Buffer.from(event.text)
          : Buffer.from(event.base64 ?? "", "base64")
        : Buffer.alloc(0),
    ),
  );

/** Numbers that are the same in each run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const jsonReader = (): AgentReader => ({
  line: (text) => (text.startsWith("{") ? [{ type: "text", text }] : []),
  outcome: undefined,
  tokens: [],
  costUsd: undefined,
  turnsBegun: 0,
});

test("whole lines that come together are one event, and the rest waits for its end", () => {
  const reader = new OutputReader(undefined);
  reader.push("stdout", Buffer.from("one\ntwo\nthr"));
  assert.deepEqual(reader.take(), [{ type: "output", stream: "stdout", text: "one\ntwo\n" }]);
  assert.deepEqual(reader.position, { offset: 8, stdout: 0, stderr: 0 });
  reader.push("stdout", Buffer.from("ee\n"));
  assert.deepEqual(reader.take(), [{ type: "output", stream: "stdout", text: "three\n" }]);
  assert.equal(reader.position.offset, 14);
});

test("what waits on one stream holds up the position, not the other stream", () => {
  const reader = new OutputReader(undefined);
  reader.push("stdout", Buffer.from("half"));
  reader.push("stderr", Buffer.from("whole\n"));
  assert.deepEqual(reader.take(), [{ type: "output", stream: "stderr", text: "whole\n" }]);
  assert.deepEqual(reader.position, { offset: 0, stdout: 0, stderr: 6 });
  reader.push("stdout", Buffer.from(" a line\n"));
  assert.deepEqual(reader.take(), [{ type: "output", stream: "stdout", text: "half a line\n" }]);
  assert.deepEqual(reader.position, { offset: 18, stdout: 0, stderr: 0 });
});

test("characters are never cut, and bytes that are none arrive as they are", () => {
  const reader = new OutputReader(undefined);
  const text = Buffer.from(`${"x".repeat(65_535)}ä€𝄞`);
  reader.push("stdout", text);
  reader.push("stderr", Buffer.from([0xff, 0xfe, 0x0a]));
  const events = reader.take(true);
  assert.ok(events.every((event) => event.type === "output" && !event.text?.includes("\ufffd")));
  assert.deepEqual(bytesOf(events, "stdout"), text);
  assert.deepEqual(bytesOf(events, "stderr"), Buffer.from([0xff, 0xfe, 0x0a]));
});

test("an agent's lines become its events, unknown ones are kept, and one that is too long is shown in pieces", () => {
  const reader = new OutputReader(jsonReader());
  reader.push("stdout", Buffer.from('{"a":1}\r\nnone\n\n'));
  assert.deepEqual(reader.take(), [
    { type: "text", text: '{"a":1}', raw: '{"a":1}' },
    { type: "output", stream: "stdout", raw: "none" },
  ]);
  const long = Buffer.alloc(MAX_LINE_BYTES + 10, "y");
  reader.push("stdout", long);
  const events = reader.take();
  assert.equal(events[0]?.type, "error");
  assert.deepEqual(bytesOf(events, "stdout"), long);
  reader.push("stdout", Buffer.from('the end\n{"b":2}\n'));
  const rest = reader.take();
  assert.deepEqual(rest.at(-1), { type: "text", text: '{"b":2}', raw: '{"b":2}' });
  assert.equal(rest.length, 2);
});

test("from any position on, another reader goes on without a gap or a repeat", () => {
  const random = seeded(7);
  for (let round = 0; round < 200; round++) {
    const chunks: { stream: OutputStream; bytes: Buffer }[] = [];
    for (let n = 0; n < 30; n++) {
      const length = Math.floor(random() * 40);
      const bytes = Buffer.from(Array.from({ length }, () => (random() < 0.15 ? 10 : 97 + Math.floor(random() * 26))));
      chunks.push({ stream: random() < 0.5 ? "stdout" : "stderr", bytes });
    }
    const whole = Buffer.concat(chunks.map(({ bytes }) => bytes));
    const expected = (stream: OutputStream) =>
      Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map(({ bytes }) => bytes));
    const seen: ReadEvent[] = [];
    let position = OUTPUT_START;
    let reader = new OutputReader(undefined, position);
    let at = 0;
    const feed = (from: number, to: number) => {
      let start = 0;
      for (const { stream, bytes } of chunks) {
        const piece = bytes.subarray(Math.max(0, from - start), Math.max(0, to - start));
        start += bytes.length;
        if (piece.length > 0) reader.push(stream, piece);
      }
    };
    while (at < whole.length) {
      const to = Math.min(whole.length, at + 1 + Math.floor(random() * 90));
      feed(at, to);
      at = to;
      if (random() < 0.5) {
        seen.push(...reader.take(random() < 0.2));
        position = reader.position;
      }
      // The daemon is killed: what it has not logged is read again.
      if (random() < 0.3) {
        reader = new OutputReader(undefined, position);
        at = position.offset;
      }
    }
    seen.push(...reader.take(true));
    assert.equal(reader.position.offset, whole.length);
    for (const stream of ["stdout", "stderr"] as const)
      assert.equal(bytesOf(seen, stream).toString(), expected(stream).toString());
  }
});

test("single bytes of both streams by turns are one line and one position in the end", () => {
  const reader = new OutputReader(jsonReader());
  const line = `{"a":"${"x".repeat(20_000)}"}`;
  for (const byte of line) {
    reader.push("stdout", Buffer.from(byte));
    reader.push("stderr", Buffer.from("."));
    assert.equal(reader.take().filter(({ type }) => type === "text").length, 0);
  }
  reader.push("stdout", Buffer.from("\n"));
  const events = reader.take(true);
  assert.deepEqual(events[0], { type: "text", text: line, raw: line });
  assert.deepEqual(reader.position, { offset: 2 * line.length + 1, stdout: 0, stderr: 0 });
});

test("half a character waits for its other half, when what is there is shown before its line has an end", () => {
  const reader = new OutputReader(undefined);
  reader.push("stdout", Buffer.from([0x61, 0xe2, 0x82]));
  assert.deepEqual(reader.take(true, false), [{ type: "output", stream: "stdout", text: "a" }]);
  assert.deepEqual([reader.take(true, false), reader.pendingBytes], [[], 2]);
  reader.push("stdout", Buffer.from([0xac]));
  assert.deepEqual(reader.take(true, false), [{ type: "output", stream: "stdout", text: "€" }]);
  reader.push("stdout", Buffer.from([0xe2]));
  assert.deepEqual(reader.take(true), [{ type: "output", stream: "stdout", base64: "4g==" }]);
  assert.equal(reader.position.offset, 5);
});
