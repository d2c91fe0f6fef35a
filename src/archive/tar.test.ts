import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { confinePath, splitPath } from "./confined-path.ts";
import { TAR_END, tarPadding } from "./tar-format.ts";
import { type ArchiveLimits, DEFAULT_LIMITS, readTar } from "./tar-reader.ts";
import { type TarItem, tarHead } from "./tar-writer.ts";

type Whole = TarItem & { content: Buffer };

function writeAll(items: Whole[]): Buffer {
  const parts = items.flatMap((item) =>
    item.type === "file" ? [tarHead(item), item.content, tarPadding(item.content.length)] : [tarHead(item)],
  );
  return Buffer.concat([...parts, TAR_END]);
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(bytes: Buffer, pieceSize = 1000, limits: ArchiveLimits = DEFAULT_LIMITS) {
  const found: { path: string; type: string; mode: number; mtimeMs: number; target?: string; content: string }[] = [];
  for await (const entry of readTar(inPieces(bytes, pieceSize), limits)) {
    const pieces: Buffer[] = [];
    for await (const piece of entry.content) pieces.push(Buffer.from(piece));
    found.push({
      path: entry.path.toString("hex"),
      type: entry.type,
      mode: entry.mode,
      mtimeMs: entry.mtimeMs,
      ...(entry.target === undefined ? {} : { target: entry.target.toString("hex") }),
      content: Buffer.concat(pieces).toString("hex"),
    });
  }
  return found;
}

const name = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))));
const item = fc
  .record({
    path: name,
    type: fc.constantFrom("file" as const, "directory" as const, "symlink" as const),
    mode: fc.integer({ min: 0, max: 0o777 }),
    seconds: fc.integer({ min: 0, max: 2 ** 31 }),
    content: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
    target: name,
  })
  .map(
    ({ seconds, target, content, ...rest }): Whole => ({
      ...rest,
      mtimeMs: seconds * 1000,
      content: rest.type === "file" ? content : Buffer.alloc(0),
      sizeBytes: rest.type === "file" ? content.length : 0,
      ...(rest.type === "symlink" ? { target } : {}),
    }),
  );

test("what is written is read again, byte for byte, however the stream is cut into pieces", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 8 }), fc.integer({ min: 1, max: 3000 }), async (items, size) => {
      const expected = items.map((one) => ({
        path: Buffer.concat([one.path, Buffer.from(one.type === "directory" ? "/" : "")]).toString("hex"),
        type: one.type,
        mode: one.mode,
        mtimeMs: one.mtimeMs,
        ...(one.target === undefined ? {} : { target: one.target.toString("hex") }),
        content: one.content.toString("hex"),
      }));
      assert.deepEqual(await readAll(writeAll(items), size), expected);
    }),
    { numRuns: 60 },
  );
});

test("random bytes, also behind a good head, are ARCHIVE_INVALID or entries, never anything else", async () => {
  const head = tarHead({ path: Buffer.from("f"), type: "file", mode: 0o644, mtimeMs: 0, sizeBytes: 700 });
  const pax = Buffer.from(head);
  pax.write("x", 156);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(Buffer.alloc(0), head, pax),
      fc.uint8Array({ maxLength: 3000 }),
      async (start, rest) => {
        await readAll(Buffer.concat([start, rest])).catch((error: unknown) => {
          assert.ok(error instanceof FirebreakError && /^ARCHIVE_/.test(error.code), String(error));
        });
      },
    ),
  );
});

test("an archive that is cut anywhere is refused", async () => {
  const whole = writeAll([
    {
      path: Buffer.from("a".repeat(150)),
      type: "file",
      mode: 0o644,
      mtimeMs: 0,
      sizeBytes: 3,
      content: Buffer.from("abc"),
    },
  ]);
  // Two blocks of zeros end it; one is enough.
  for (let length = 0; length <= whole.length - 1024; length += 128)
    await assert.rejects(readAll(whole.subarray(0, length)), { code: "ARCHIVE_INVALID" }, String(length));
  assert.equal((await readAll(whole)).length, 1);
});

test("content that is not read is passed over", async () => {
  const file = (path: string, content: string): Whole => ({
    path: Buffer.from(path),
    type: "file",
    mode: 0o644,
    mtimeMs: 0,
    sizeBytes: content.length,
    content: Buffer.from(content),
  });
  const seen: string[] = [];
  for await (const entry of readTar(
    inPieces(writeAll([file("a", "x".repeat(5000)), file("b", "y")]), 100),
    DEFAULT_LIMITS,
  )) {
    seen.push(entry.path.toString());
    for await (const _ of entry.content) break;
  }
  assert.deepEqual(seen, ["a", "b"]);
});

test("a file of more than 8 GiB has a size that is read again", async () => {
  const sizeBytes = 20 * 1024 ** 3;
  const head = tarHead({ path: Buffer.from("big"), type: "file", mode: 0o644, mtimeMs: 0, sizeBytes });
  const entries = readTar(inPieces(head, 512), { maxEntries: 1, maxBytes: sizeBytes });
  const first = await entries.next();
  assert.equal(first.value?.sizeBytes, sizeBytes);
});

test("a path is confined to its target or refused", () => {
  for (const path of ["/etc/passwd", "../x", "a/../../x", "a/..", "..", "a\0b", "x".repeat(256), "a/".repeat(2100)])
    assert.throws(() => confinePath(Buffer.from(path)), { code: "ARCHIVE_INVALID" }, path.slice(0, 20));
  assert.equal(confinePath(Buffer.from("./a//b/./c/")).toString(), "a/b/c");
  assert.equal(confinePath(Buffer.from("./")).length, 0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      let path: Buffer;
      try {
        path = confinePath(Buffer.from(bytes));
      } catch (error) {
        return assert.ok(error instanceof FirebreakError && error.code === "ARCHIVE_INVALID");
      }
      assert.ok(path[0] !== 0x2f && splitPath(path).every((part) => ![".", ".."].includes(part.toString("latin1"))));
    }),
  );
});
