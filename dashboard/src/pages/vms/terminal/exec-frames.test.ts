import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFrame, encodeFrame, FRAME, jsonOf } from "./exec-frames.ts";

test("frames are as the daemon has them", () => {
  assert.deepEqual([...encodeFrame(FRAME.stdin, "hé")], [2, 0, 0, 0, 3, 0x68, 0xc3, 0xa9]);
  const frame = decodeFrame(encodeFrame(FRAME.started, '{"id":"x1"}').buffer);
  assert.equal(frame?.type, FRAME.started);
  assert.deepEqual(frame === undefined ? undefined : jsonOf(frame), { id: "x1" });
});

test("a message that is no whole frame is none", () => {
  assert.equal(decodeFrame(new ArrayBuffer(4)), undefined);
  assert.equal(decodeFrame(Uint8Array.of(17, 0, 0, 0, 9, 1).buffer), undefined);
  assert.deepEqual([...(decodeFrame(Uint8Array.of(17, 0, 0, 0, 0).buffer)?.payload ?? [1])], []);
});
