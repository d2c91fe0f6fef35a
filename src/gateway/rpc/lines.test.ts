import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineSplitter } from "./lines.ts";

function split(chunks: Buffer[], maxBytes = 100) {
  const lines: string[] = [];
  let tooLong = 0;
  const splitter = new LineSplitter({
    onLine: (line) => void lines.push(line.toString()),
    onTooLong: () => void tooLong++,
    maxBytes,
  });
  for (const chunk of chunks) splitter.push(chunk);
  return { lines, tooLong };
}

test("lines come whatever the chunks", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-zü€]{1,20}$/), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9 })),
      (lines, cuts) => {
        const all = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        const chunks: Buffer[] = [];
        for (let at = 0, index = 0; at < all.length; index++) {
          const length = cuts[index % Math.max(1, cuts.length)] ?? 5;
          chunks.push(all.subarray(at, at + length));
          at += length;
        }
        assert.deepEqual(split(chunks).lines, lines);
      },
    ),
  );
});

test("a line that is too long is told of once and skipped, and the next is taken", () => {
  const { lines, tooLong } = split([
    Buffer.alloc(60, "x"),
    Buffer.alloc(60, "x"),
    Buffer.alloc(500, "x"),
    Buffer.from("\nnext\n"),
  ]);
  assert.deepEqual({ lines, tooLong }, { lines: ["next"], tooLong: 1 });
});

test("a line of just the length that is allowed is taken, and what has no end is not", () => {
  const { lines, tooLong } = split([Buffer.from(`${"x".repeat(100)}\nrest`)]);
  assert.deepEqual([lines.map((line) => line.length), tooLong], [[100], 0]);
});
