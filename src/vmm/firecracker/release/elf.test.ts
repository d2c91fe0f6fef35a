import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hostArch, readElf } from "./elf.ts";

/** A head with one entry in its list of segments. */
function head(changes: { machine?: number; segment?: number; class?: number } = {}): Buffer {
  const file = Buffer.alloc(64 + 56);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, changes.class ?? 2, 1, 1]).copy(file);
  file.writeUInt16LE(changes.machine ?? 62, 0x12);
  file.writeBigUInt64LE(64n, 0x20);
  file.writeUInt16LE(56, 0x36);
  file.writeUInt16LE(1, 0x38);
  file.writeUInt32LE(changes.segment ?? 1, 64);
  return file;
}

test("a program's architecture and whether it loads others are read from its head", () => {
  assert.deepEqual(readElf(head()), { arch: "x86_64", isStatic: true });
  assert.deepEqual(readElf(head({ machine: 183 })), { arch: "aarch64", isStatic: true });
  assert.deepEqual(readElf(head({ machine: 40 })), { arch: undefined, isStatic: true });
  assert.deepEqual(readElf(head({ segment: 3 })), { arch: "x86_64", isStatic: false });
});

test("the Node that runs this is of this architecture, and dynamic", () => {
  assert.deepEqual(readElf(readFileSync(process.execPath)), { arch: hostArch(), isStatic: false });
});

test("what is no 64-bit ELF file, or is cut off, is none", () => {
  for (const file of [Buffer.alloc(0), Buffer.from("#!/bin/sh\n"), head({ class: 1 }), head().subarray(0, 100)])
    assert.equal(readElf(file), undefined);
  const far = head();
  far.writeBigUInt64LE(2n ** 63n, 0x20);
  assert.equal(readElf(far), undefined);
});
