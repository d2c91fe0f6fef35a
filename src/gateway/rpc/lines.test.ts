import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineSplitter } from "./lines.ts";

function split(chunks: Buffer[], maxBytes = 100) {
  const lines: string[] = [];
  const tooLong: string[] = [];
  const splitter = new LineSplitter({
    onLine: (line) => void lines.push(line.toString()),
    onTooLong: (edges) => void tooLong.push(edges.toString()),
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
  assert.deepEqual([lines, tooLong.length], [["next"], 1]);
});

test("a line of just the length that is allowed is taken, and what has no end is not", () => {
  const { lines, tooLong } = split([Buffer.from(`${"x".repeat(100)}\nrest`)]);
  assert.deepEqual([lines.map((line) => line.length), tooLong], [[100], []]);
});

test("of a line that is too long both ends are told, whatever the chunks", () => {
  const line = Buffer.from(`begin${"x".repeat(9_000)}end\n`);
  for (const size of [1, 7, 1_000, 10_000]) {
    const chunks = Array.from({ length: Math.ceil(line.length / size) }, (_, index) =>
      line.subarray(index * size, (index + 1) * size),
    );
    const [edges = ""] = split(chunks, 4_000).tooLong;
    assert.match(edges, /^beginx+end$/);
    assert.equal(edges.length, 2_048);
  }
});

test("a line that comes byte by byte costs little more than it holds", () => {
  const splitter = new LineSplitter({ onLine: () => {}, onTooLong: () => {} });
  const before = process.memoryUsage().rss;
  const chunk = Buffer.alloc(64 * 1024, "x");
  for (let count = 0; count < 2_000_000; count++) splitter.push(chunk.subarray(count % 9, (count % 9) + 1));
  assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
});
