import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { TAR_END } from "../../archive/tar-format.ts";
import { tarHead } from "../../archive/tar-writer.ts";
import { collectFiles } from "./collect.ts";
import { LocalStorage } from "./local.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-collect-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string | Buffer, content: string): Buffer {
  const head = tarHead({
    ...{ path: Buffer.from(name as string), type: "file", mode: 0o644, mtimeMs: 0 },
    sizeBytes: content.length,
  } as Parameters<typeof tarHead>[0]);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([head, body]);
}

async function* archive(...entries: Buffer[]): AsyncGenerator<Buffer> {
  yield Buffer.concat([...entries, TAR_END]);
}

const collect = (source: AsyncIterable<Buffer>, limits?: Parameters<typeof collectFiles>[3]) => {
  const storage = new LocalStorage(path.join(folder, "files"));
  return collectFiles(source, storage, folder, limits).then((found) => ({ ...found, storage }));
};

test("files are kept by their content, with their names as names", async () => {
  const { files, skipped, storage } = await collect(archive(file("./b/c.txt", "same"), file("a.txt", "same")));
  assert.deepEqual(
    files.map((each) => [each.path, each.sizeBytes, each.mediaType]),
    [
      ["a.txt", 4, "text/plain"],
      ["b/c.txt", 4, "text/plain"],
    ],
  );
  assert.deepEqual(skipped, []);
  assert.equal(files[0]?.digest, files[1]?.digest);
  assert.equal(readdirSync(path.join(folder, "files")).length, 1);
  assert.equal(await text(await storage.get(files[0]?.digest as string, { offset: 1, length: 2 })), "am");
});

test("names that lead out, or are none, are left out by name; nothing is written elsewhere", async () => {
  const names = [
    "../out",
    "/abs",
    "a/../../out",
    "a//b",
    "a/./b",
    "bell\x07",
    "line\nbreak",
    Buffer.from([0x66, 0xff]),
  ];
  const { files, skipped } = await collect(archive(...names.map((name) => file(name, "evil")), file("good", "x")));
  assert.deepEqual(
    files.map((each) => each.path),
    ["good"],
  );
  assert.equal(skipped.length, names.length);
  for (const place of [path.join(folder, "..", "out"), "/abs", path.join(folder, "out")]) assert.ok(!existsSync(place));
});

test("of more than may be what came before the limit is kept, and no part is left behind", async () => {
  const limits = { maxEntries: 10, maxBytes: 100 };
  const large = await collect(archive(file("a", "kept"), file("big", "x".repeat(101)), file("c", "")), limits);
  assert.equal(large.failure?.code, "ARCHIVE_TOO_LARGE");
  const many = await collect(archive(...Array.from({ length: 11 }, (_, index) => file(`f${index}`, ""))), limits);
  assert.equal(many.failure?.code, "ARCHIVE_TOO_LARGE");
  const cut = await collect(
    (async function* () {
      yield file("whole", "x");
      yield file("cut", "x".repeat(600)).subarray(0, 700);
    })(),
  );
  assert.equal(cut.failure?.code, "ARCHIVE_INVALID");
  assert.deepEqual(
    [large, many, cut].map(({ files }) => files.map((each) => each.path).join()),
    ["a", "f0,f1,f2,f3,f4,f5,f6,f7,f8,f9", "whole"],
  );
  assert.equal(await text(await large.storage.get(large.files[0]?.digest as string, {})), "kept");
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith("part-")),
    [],
  );
});

test("what is no file, and what the guest could not read, is left out by name; names are not told at length", async () => {
  const unreadable = file("deep", "");
  unreadable.write("Z", 156);
  unreadable.fill(" ", 148, 156);
  const sum = unreadable.reduce((total, byte) => total + byte, 0);
  unreadable.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  const { files, skipped, failure } = await collect(
    archive(unreadable, file(`${"d/".repeat(4_000)}f`, "x"), file("z", "")),
  );
  assert.equal(failure, undefined);
  assert.deepEqual(
    files.map((each) => each.path),
    ["z"],
  );
  assert.match(skipped[0] ?? "", /^deep: .*cannot be read/);
  assert.ok((skipped[1] ?? "").length < 1_100, skipped[1]);
});
