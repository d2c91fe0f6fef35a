import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSums } from "./archive.ts";

test("digests are read as sha256sum writes them, of text or binary files, in this folder", () => {
  const [a, b, c] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
  const sums = parseSums(`${a}  ./firecracker-v1\n${b} *jailer-v1\n${c}  LICENSE\n`);
  assert.deepEqual(
    [...sums],
    [
      ["firecracker-v1", a],
      ["jailer-v1", b],
      ["LICENSE", c],
    ],
  );
});

test("lines that are none are passed over", () => {
  assert.equal(parseSums(`abc  short\n${"g".repeat(64)}  letters\n\n${"a".repeat(64)}\n`).size, 0);
});
