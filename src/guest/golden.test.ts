import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Frame, FrameDecoder, FrameError } from "../contract/frames.ts";
import { type AttachmentLine, LineScanner } from "./attachment.ts";
import { findGuestFrameFault } from "./exec-frames.ts";

/** The byte strings that both ends must decode alike; guest-agent/golden/README.md describes their form. */
interface FrameCase {
  name: string;
  direction: "hostToGuest" | "guestToHost";
  bytesHex: string;
  thenZeroBytes?: number;
  expect?: { type: number; payloadHex?: string; payloadZeroBytes?: number }[];
  error?: "OVERSIZED" | "UNKNOWN_TYPE" | "BAD_PAYLOAD" | "TRUNCATED";
}
interface LineCase {
  name: string;
  reader: "host" | "guest";
  bytesHex: string;
  expect: AttachmentLine[];
}

const read = <T>(name: string) => JSON.parse(readFileSync(`guest-agent/golden/${name}.json`, "utf8")) as T[];
const CUTS = [Number.POSITIVE_INFINITY, 1, 2, 3, 7, 4096];

function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, Math.min(bytes.length, at + size));
}

function decode(bytes: Buffer, size: number): { frames: Frame[]; error?: string } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  try {
    for (const piece of cut(bytes, size)) {
      for (const frame of decoder.push(piece)) {
        const fault = findGuestFrameFault(frame);
        if (fault !== undefined) return { frames, error: fault };
        frames.push(frame);
      }
    }
  } catch (error) {
    assert.ok(error instanceof FrameError);
    return { frames, error: "OVERSIZED" };
  }
  return decoder.pendingBytes > 0 ? { frames, error: "TRUNCATED" } : { frames };
}

for (const golden of read<FrameCase>("frames").filter((entry) => entry.direction === "guestToHost")) {
  test(`golden frames: ${golden.name}`, () => {
    const bytes = Buffer.concat([Buffer.from(golden.bytesHex, "hex"), Buffer.alloc(golden.thenZeroBytes ?? 0)]);
    for (const size of bytes.length > 10_000 ? [Number.POSITIVE_INFINITY, 4096] : CUTS) {
      const decoded = decode(bytes, Number.isFinite(size) ? size : bytes.length);
      // A type that does not exist may be refused before its payload is there, or when the stream ends in it.
      if (golden.error === "UNKNOWN_TYPE")
        assert.ok(["UNKNOWN_TYPE", "TRUNCATED", "OVERSIZED"].includes(decoded.error ?? ""));
      else assert.equal(decoded.error, golden.error);
      if (golden.expect === undefined) continue;
      const expected = golden.expect.map(({ type, payloadHex, payloadZeroBytes }) => ({
        type,
        hex: payloadHex ?? Buffer.alloc(payloadZeroBytes ?? 0).toString("hex"),
      }));
      assert.deepEqual(
        decoded.frames.map(({ type, payload }) => ({ type, hex: payload.toString("hex") })),
        expected,
      );
    }
  });
}

for (const golden of read<LineCase>("attachment").filter((entry) => entry.reader === "host")) {
  test(`golden attachment: ${golden.name}`, () => {
    const bytes = Buffer.from(golden.bytesHex, "hex");
    for (const size of CUTS) {
      const scanner = new LineScanner();
      const found = [...cut(bytes, Number.isFinite(size) ? size : bytes.length)].flatMap((piece) =>
        [...scanner.push(piece)].map((step) => step.found),
      );
      assert.deepEqual(found, golden.expect);
    }
  });
}
