import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFrame, encodeFrameParts, type Frame, FrameDecoder, FrameError, MAX_FRAME_BYTES } from "./frames.ts";

function decodeAll(bytes: Buffer, sizes: number[]): { frames: Frame[]; pendingBytes: number } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[index % sizes.length] ?? 1);
    frames.push(...decoder.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return { frames, pendingBytes: decoder.pendingBytes };
}

test("frames survive any cutting of the stream", () => {
  const frame = fc.record({ type: fc.integer({ min: 0, max: 255 }), payload: fc.uint8Array({ maxLength: 200 }) });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 64 })), (frames, sizes) => {
      const bytes = Buffer.concat(frames.map(({ type, payload }) => encodeFrame(type, payload)));
      const decoded = decodeAll(bytes, sizes);
      assert.equal(decoded.pendingBytes, 0);
      assert.deepEqual(
        decoded.frames.map(({ type, payload }) => ({ type, payload: [...payload] })),
        frames.map(({ type, payload }) => ({ type, payload: [...payload] })),
      );
    }),
  );
});

test("a small frame is written at once, a large one's payload is not copied", () => {
  const small = encodeFrameParts(2, Buffer.from("line\n"));
  assert.deepEqual(small, [encodeFrame(2, "line\n")]);
  const payload = Buffer.alloc(MAX_FRAME_BYTES, 7);
  const large = encodeFrameParts(2, payload);
  assert.equal(large.length, 2);
  assert.equal(large[1], payload);
  assert.deepEqual(decodeAll(Buffer.concat(large), []).frames, [{ type: 2, payload }]);
});

test("random bytes decode to frames or to a FrameError, never to anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.array(fc.integer({ min: 1, max: 300 })), (bytes, sizes) => {
      try {
        decodeAll(Buffer.from(bytes), sizes);
      } catch (error) {
        assert.ok(error instanceof FrameError);
      }
    }),
  );
});

test("a length above the limit is refused before its payload is waited for", () => {
  const header = Buffer.from([17, 0, 0, 0, 0]);
  header.writeUInt32BE(MAX_FRAME_BYTES + 1, 1);
  assert.throws(() => new FrameDecoder().push(header), FrameError);
});

test("a cut frame is told by the bytes that are left", () => {
  assert.equal(decodeAll(encodeFrame(17, "hello").subarray(0, 7), []).pendingBytes, 7);
});
