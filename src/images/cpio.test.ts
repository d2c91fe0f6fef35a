import assert from "node:assert/strict";
import { test } from "node:test";
import { writeCpio } from "./cpio.ts";

test("a file, a folder and a device have the bytes that the newc form prescribes", () => {
  const archive = writeCpio([
    { type: "directory", path: "dev", mode: 0o755 },
    { type: "character-device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { type: "file", path: "init", mode: 0o755, content: Buffer.from("hello") },
  ]);
  const zero = "00000000";
  const golden = [
    `070701${"00000001"}${"000041ED"}${zero}${zero}${"00000002"}${zero}${zero}${zero}${zero}${zero}${zero}${"00000004"}${zero}`,
    "dev\0\0\0",
    `070701${"00000002"}${"00002180"}${zero}${zero}${"00000001"}${zero}${zero}${zero}${zero}${"00000005"}${"00000001"}${"0000000C"}${zero}`,
    "dev/console\0\0\0",
    `070701${"00000003"}${"000081ED"}${zero}${zero}${"00000001"}${zero}${"00000005"}${zero}${zero}${zero}${zero}${"00000005"}${zero}`,
    "init\0\0hello\0\0\0",
    `070701${zero}${zero}${zero}${zero}${"00000001"}${zero}${zero}${zero}${zero}${zero}${zero}${"0000000B"}${zero}`,
    "TRAILER!!!\0\0\0\0",
  ].join("");
  assert.equal(archive.toString("latin1").replace(/\0+$/, ""), golden.replace(/\0+$/, ""));
  assert.equal(archive.length % 512, 0);
});

test("every header starts at a multiple of four, whatever the lengths", () => {
  for (let length = 0; length < 8; length++) {
    const path = "f".repeat(length + 1);
    const archive = writeCpio([{ type: "file", path, mode: 0o644, content: Buffer.alloc(length, 0x41) }]);
    const text = archive.toString("latin1");
    assert.equal(text.indexOf("070701", 6) % 4, 0);
  }
});

test("the same entries give the same bytes, and a leading slash makes no difference", () => {
  const entry = (path: string) => writeCpio([{ type: "file", path, mode: 0o644, content: Buffer.from("x") }]);
  assert.deepEqual(entry("/a/b"), entry("a/b"));
});

test("a path that leaves the archive is refused", () => {
  for (const path of ["../x", "a/../b", "/", ""]) {
    assert.throws(() => writeCpio([{ type: "directory", path, mode: 0o755 }]), RangeError);
  }
});
