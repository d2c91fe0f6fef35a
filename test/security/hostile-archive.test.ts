import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Header } from "tar";
import { TAR_END } from "../../src/archive/tar-format.ts";
import { readTar } from "../../src/archive/tar-reader.ts";
import { tarHead } from "../../src/archive/tar-writer.ts";
import { type CopyClient, copyIn, copyOut } from "../../src/cli/copy.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { FileStat } from "../../src/guest/protocol.ts";
import { stripControl } from "../../src/platform/terminal-text.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-tar-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  path: string;
  type: "File" | "SymbolicLink" | "Link" | "Directory" | "CharacterDevice" | "FIFO";
  linkpath?: string;
  content?: string;
}

const limitsOf = (maxEntries: number, maxBytes: number) => ({ maxEntries, maxBytes });

/** A tar as no honest guest would make it. */
function makeTar(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ content = "", ...entry }) => {
    const header = new Header({ ...entry, mode: 0o4755, uid: 0, gid: 0, size: content.length, mtime: new Date(0) });
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [block, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A daemon with these calls and no other. */
function clientOf(files: Partial<CopyClient["files"]>): CopyClient {
  const isMissing = () => assert.fail("a call that this copy was not to make");
  return {
    files: {
      stat: isMissing,
      read: isMissing,
      write: isMissing,
      readArchive: isMissing,
      writeArchive: isMissing,
      ...files,
    },
  };
}

const statOf = (type: FileStat["type"], sizeBytes: number): FileStat => ({
  path: "/x",
  type,
  sizeBytes,
  mode: "0755",
  uid: 0,
  gid: 0,
  mtimeMs: 0,
});

/** A daemon that hands out what a hostile guest made. */
function clientWith(archive: Buffer | Iterable<Buffer>): CopyClient {
  return clientOf({
    stat: async () => statOf("directory", 0),
    readArchive: async () => Readable.from(archive instanceof Buffer ? [archive] : archive),
  });
}

const outside = () => path.join(folder, "outside");
const attacks: [string, () => Entry[]][] = [
  ["a path with ..", () => [{ path: "../outside", type: "File", content: "evil" }]],
  ["a deep path with ..", () => [{ path: "a/b/../../../outside", type: "File", content: "evil" }]],
  ["an absolute path", () => [{ path: outside(), type: "File", content: "evil" }]],
  [
    "a write through a symlink that the archive made",
    () => [
      { path: "link", type: "SymbolicLink", linkpath: folder },
      { path: "link/outside", type: "File", content: "evil" },
    ],
  ],
  [
    "a write through a symlink to ..",
    () => [
      { path: "up", type: "SymbolicLink", linkpath: ".." },
      { path: "up/outside", type: "File", content: "evil" },
    ],
  ],
  [
    "a hard link to a file of the host",
    () => [
      { path: "hard", type: "Link", linkpath: path.join(folder, "secret") },
      { path: "hard", type: "File", content: "evil" },
    ],
  ],
  [
    "a hard link between two of its own files",
    () => [
      { path: "a", type: "File", content: "x" },
      { path: "b", type: "Link", linkpath: "a" },
    ],
  ],
  [
    "a link in the place of a directory that it filled",
    () => [
      { path: "dir/f", type: "File", content: "x" },
      { path: "dir", type: "SymbolicLink", linkpath: folder },
      { path: "dir/outside", type: "File", content: "evil" },
    ],
  ],
  [
    "a link and then a directory of one name",
    () => [
      { path: "dir", type: "SymbolicLink", linkpath: folder },
      { path: "dir", type: "Directory" },
      { path: "dir/outside", type: "File", content: "evil" },
    ],
  ],
  ["a name with NUL in it", () => [{ path: "../outside\0/x", type: "File", content: "evil" }]],
];

for (const [name, entries] of attacks) {
  test(`an archive of the guest with ${name} writes nothing outside the target`, async () => {
    const target = mkdtempSync(path.join(folder, "target-"));
    writeFileSync(path.join(folder, "secret"), "kept");
    const before = readdirSync(folder).sort();
    await copyOut(clientWith(makeTar(entries())), "vm", "/x/.", target, () => {}).catch((error: unknown) => {
      assert.ok(error instanceof FirebreakError && error.code === "ARCHIVE_INVALID", String(error));
    });
    assert.equal(existsSync(outside()), false);
    assert.equal(readFileSync(path.join(folder, "secret"), "utf8"), "kept");
    assert.deepEqual(readdirSync(folder).sort(), before);
  });
}

test("a device in an archive of the guest is not made", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  await copyOut(clientWith(makeTar([{ path: "null", type: "CharacterDevice" }])), "vm", "/x/.", target, () => {}).catch(
    () => {},
  );
  assert.deepEqual(readdirSync(target), []);
});

test("an archive that is cut, or is none, is an error", async () => {
  const whole = makeTar([{ path: "f", type: "File", content: "x".repeat(5000) }]);
  for (const bytes of [whole.subarray(0, 3000), Buffer.from("no archive at all, not even nearly")]) {
    const target = mkdtempSync(path.join(folder, "target-"));
    await assert.rejects(
      copyOut(clientWith(bytes), "vm", "/x/.", target, () => {}),
      { code: "ARCHIVE_INVALID" },
    );
  }
});

test("a setuid program of the guest is an ordinary file here, and links are kept as they are", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  const entries: Entry[] = [
    { path: "suid", type: "File", content: "x" },
    { path: "python", type: "SymbolicLink", linkpath: "/usr/bin/python3" },
    { path: "sub/up", type: "SymbolicLink", linkpath: "../../.." },
  ];
  await copyOut(clientWith(makeTar(entries)), "vm", "/x/.", target, () => {});
  assert.equal(statSync(path.join(target, "suid")).mode & 0o7000, 0);
  assert.deepEqual(
    [readlinkSync(path.join(target, "python")), readlinkSync(path.join(target, "sub/up"))],
    ["/usr/bin/python3", "../../.."],
  );
});

test("a link that lies in the target already is not written through, whoever made it", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  const elsewhere = mkdtempSync(path.join(folder, "elsewhere-"));
  symlinkSync(elsewhere, path.join(target, "sub"));
  symlinkSync(path.join(elsewhere, "file"), path.join(target, "f"));
  await assert.rejects(
    copyOut(clientWith(makeTar([{ path: "sub/x", type: "File", content: "evil" }])), "vm", "/x/.", target, () => {}),
    { code: "HOST_PATH_CHANGED" },
  );
  // A file takes the link's place; what the link led to stays as it was.
  await copyOut(clientWith(makeTar([{ path: "f", type: "File", content: "new" }])), "vm", "/x/.", target, () => {});
  assert.deepEqual(readdirSync(elsewhere), []);
  assert.equal(readFileSync(path.join(target, "f"), "utf8"), "new");
});

test("what an archive cannot carry is named, and the rest arrives", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  const entries: Entry[] = [
    { path: "null", type: "CharacterDevice" },
    { path: "pipe", type: "FIFO" },
    { path: "f", type: "File", content: "x" },
  ];
  const { skipped } = await copyOut(clientWith(makeTar(entries)), "vm", "/x/.", target, () => {});
  assert.deepEqual([skipped, readdirSync(target)], [["null", "pipe"], ["f"]]);
});

/** A million entries, made as they are read. */
function* manyEntries(count: number): Generator<Buffer> {
  for (let index = 0; index < count; index += 100) {
    const names = Array.from(
      { length: 100 },
      (_, offset): Entry => ({ path: `f${index + offset}`, type: "Directory" }),
    );
    yield makeTar(names).subarray(0, 100 * 512);
  }
  yield Buffer.alloc(1024);
}

test("a million entries are refused at the limit, which can be raised", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  await assert.rejects(
    copyOut(clientWith(manyEntries(1_000_000)), "vm", "/x/.", target, () => {}, limitsOf(500, 1024)),
    (error: unknown) =>
      error instanceof FirebreakError && error.code === "ARCHIVE_TOO_LARGE" && /max-entries/.test(error.hint ?? ""),
  );
  assert.equal(readdirSync(target).length, 500);
  await copyOut(clientWith(manyEntries(600)), "vm", "/x/.", target, () => {}, limitsOf(600, 1024));
  assert.equal(readdirSync(target).length, 600);
});

test("a bomb is refused by what its head announces, before a byte of it is taken", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  const head = tarHead({ path: Buffer.from("zeros"), type: "file", mode: 0o644, mtimeMs: 0, sizeBytes: 2 ** 40 });
  await assert.rejects(
    copyOut(clientWith(head), "vm", "/x/.", target, () => {}),
    { code: "ARCHIVE_TOO_LARGE" },
  );
  assert.deepEqual(readdirSync(target), []);
});

test("a file that goes on beyond what it said is not taken either", async () => {
  const endless = clientOf({
    stat: async () => statOf("file", 1),
    read: async () => ({
      stat: statOf("file", 1),
      body: Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(65_536);
        })(),
      ),
    }),
  });
  const target = mkdtempSync(path.join(folder, "target-"));
  await assert.rejects(
    copyOut(endless, "vm", "/x", path.join(target, "f"), () => {}, limitsOf(10, 1024 * 1024)),
    { code: "ARCHIVE_TOO_LARGE" },
  );
  assert.deepEqual(readdirSync(target), []);
});

test("names that are not UTF-8, or would move a terminal's cursor, arrive as they are, and are printed harmless", async () => {
  const target = mkdtempSync(path.join(folder, "target-"));
  const names = [Buffer.from([0x66, 0xff, 0xfe]), Buffer.from("two\nlines"), Buffer.from("\x1b[2Jclear")];
  const heads = names.map((name) => tarHead({ path: name, type: "file", mode: 0o644, mtimeMs: 0, sizeBytes: 0 }));
  await copyOut(clientWith(Buffer.concat([...heads, TAR_END])), "vm", "/x/.", target, () => {});
  const found = readdirSync(Buffer.from(target), { encoding: "buffer" }).map((name) => name.toString("hex"));
  assert.deepEqual(found.sort(), names.map((name) => name.toString("hex")).sort());
  assert.equal(stripControl("\x1b[2Jclear two\nlines exe\u202egpj"), "\ufffd[2Jclear two\ufffdlines exe\ufffdgpj");
});

test("a host directory with a FIFO, a socket's name that is no UTF-8 and a link outside goes in without hanging", async () => {
  const source = mkdtempSync(path.join(folder, "source-"));
  execFileSync("mkfifo", [path.join(source, "pipe")]);
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0x66, 0xff])]), "bytes");
  symlinkSync("/etc/shadow", path.join(source, "link"));
  let sent: Buffer = Buffer.alloc(0);
  const client = clientOf({
    stat: async () => {
      throw new FirebreakError("FILE_NOT_FOUND", "none");
    },
    writeArchive: async (_vm, _path, body) => {
      for await (const piece of body as AsyncIterable<Buffer>) sent = Buffer.concat([sent, piece]);
      return { entries: 2, bytes: 5 };
    },
  });
  const { skipped } = await copyIn(client, source, "vm", "/root/x", () => {});
  assert.deepEqual(skipped, ["pipe"]);
  const entries: string[] = [];
  for await (const entry of readTar(Readable.from([sent]), limitsOf(10, 1000)))
    entries.push(`${entry.type} ${entry.path.toString("hex")} ${entry.target ?? ""}`);
  assert.deepEqual(entries, ["file 66ff ", `symlink ${Buffer.from("link").toString("hex")} /etc/shadow`]);
});
