import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { Request } from "../../test/support/mount-frames.ts";
import { FileServer } from "./file-server.ts";
import { ERRNO, MAX_DATA_BYTES, MalformedFrame, OPS } from "./wire.ts";

const base = realpathSync(mkdtempSync(path.join(os.tmpdir(), "fb-files-")));
after(() => rmSync(base, { recursive: true, force: true }));

const O = { rdonly: 0, wronly: 1, rdwr: 2, excl: 0o200, trunc: 0o1000 } as const;
let count = 0;

/** A directory to serve, beside a file that no guest may get at. */
function setUp(options: { access?: "ro" | "rw"; maxHandles?: number } = {}) {
  const folder = path.join(base, `t${++count}`);
  const root = path.join(folder, "root");
  mkdirSync(path.join(root, "sub"), { recursive: true });
  writeFileSync(path.join(folder, "secret"), "secret");
  writeFileSync(path.join(root, "file"), "content");
  const server = new FileServer({ hostPath: root, access: "rw", ...options });
  const ask = (request: Request) => {
    const answer = server.answer(request.frame());
    assert.equal(answer.readUInt32BE(0), answer.length - 4);
    return { errno: answer.readUInt32BE(12), payload: answer.subarray(16) };
  };
  const ok = (request: Request) => {
    const { errno, payload } = ask(request);
    assert.equal(errno, 0);
    return payload;
  };
  return { folder, root, server, ask, ok, errno: (request: Request) => ask(request).errno };
}

const lookup = (name: string | Buffer) => new Request(OPS.lookup).path(name);
const open = (name: string, handle: number, flags: number) => new Request(OPS.open).path(name).u64(handle).u32(flags);
const create = (name: string, handle: number, flags: number, mode = 0o644) =>
  new Request(OPS.create).path(name).u64(handle).u32(flags).u32(mode);
const read = (handle: number, offset: number | bigint, size: number) =>
  new Request(OPS.read).u64(handle).u64(offset).u32(size);
const write = (handle: number, offset: number | bigint, data: string | Buffer, append = 0) =>
  new Request(OPS.write).u64(handle).u64(offset).u8(append).raw(data);
const mkdir = (name: string, mode = 0o755) => new Request(OPS.mkdir).path(name).u32(mode);
const unlink = (name: string) => new Request(OPS.unlink).path(name);
const rename = (from: string, to: string) => new Request(OPS.rename).path(from).path(to);
const link = (from: string, to: string) => new Request(OPS.link).path(from).path(to);
const symlink = (name: string, target: string) => new Request(OPS.symlink).path(name).path(target);
const readdir = (name: string, handle: number, after = "", bytes = 65536) =>
  new Request(OPS.readdir).path(name).u64(handle).path(after).u32(bytes);
const setattr = (name: string, mask: number, mode = 0, size: number | bigint = 0) =>
  new Request(OPS.setattr).path(name).u64(0).u8(mask).u32(mode).u64(size).u64(0).u32(0).u64(0).u32(0);

function namesOf(page: Buffer): string[] {
  const names: string[] = [];
  for (let at = 1; at < page.length; ) {
    const length = page.readUInt16BE(at);
    names.push(page.toString("utf8", at + 2, at + 2 + length));
    at += 2 + length + 75;
  }
  return names;
}

test("files are made, written, read, renamed and removed", () => {
  const { root, ok, errno, server } = setUp();
  ok(mkdir("dir", 0o750));
  assert.equal(statSync(path.join(root, "dir")).mode & 0o7777, 0o750);
  ok(create("dir/a", 1, O.rdwr | O.excl, 0o640));
  assert.equal(statSync(path.join(root, "dir/a")).mode & 0o7777, 0o640);
  assert.equal(ok(write(1, 0, "hello")).readUInt32BE(0), 5);
  assert.equal(ok(read(1, 1, 100)).toString(), "ello");
  assert.equal(ok(read(1, 5, 100)).length, 0);
  ok(rename("dir/a", "b"));
  assert.equal(readFileSync(path.join(root, "b"), "utf8"), "hello");
  ok(link("b", "dir/hard"));
  assert.equal(statSync(path.join(root, "b")).nlink, 2);
  ok(unlink("dir/hard"));
  ok(new Request(OPS.rmdir).path("dir"));
  assert.equal(errno(lookup("dir")), ERRNO.ENOENT);
  assert.equal(server.openFiles, 1);
  ok(new Request(OPS.release).u64(1));
  assert.equal(server.openFiles, 0);
});

test("no path leads out: neither by dots, nor from the root, nor by symlinks, wherever they lie", () => {
  const { folder, root, errno } = setUp();
  symlinkSync(folder, path.join(root, "out"));
  symlinkSync("..", path.join(root, "sub/up"));
  symlinkSync(path.join(folder, "secret"), path.join(root, "leak"));
  symlinkSync("/proc/self/root", path.join(root, "magic"));
  symlinkSync(".", path.join(root, "self"));
  for (const name of [
    "..",
    ".",
    "../secret",
    "sub/../../secret",
    "/etc/passwd",
    "//",
    "sub//x",
    "sub/",
    "a\0b",
    "./file",
  ])
    for (const request of [
      lookup(name),
      open(name, 1, O.rdonly),
      create(name, 1, O.wronly),
      unlink(name),
      readdir(name, 2),
    ])
      assert.equal(errno(request), ERRNO.EINVAL, name);
  for (const name of ["out/secret", "sub/up/file", "magic/etc/passwd", "self/file", "leak/x"])
    for (const request of [
      lookup(name),
      open(name, 1, O.rdonly),
      create(`${name}2`, 1, O.wronly),
      mkdir(`${name}2`),
      readdir(name, 2),
    ])
      assert.equal(errno(request), ERRNO.ENOTDIR, name);
  for (const name of ["leak", "out", "magic"]) {
    assert.equal(errno(lookup(name)), 0);
    assert.equal(errno(open(name, 1, O.rdonly)), ERRNO.ELOOP);
    assert.equal(errno(create(name, 1, O.wronly | O.trunc)), ERRNO.ELOOP);
    assert.equal(errno(setattr(name, 2, 0, 0)), ERRNO.ELOOP);
    assert.equal(errno(readdir(name, 2)), ERRNO.ENOTDIR);
  }
  for (const [from, to] of [
    ["file", "out/x"],
    ["out/secret", "x"],
    ["file", "../x"],
    ["file", "sub/up/x"],
  ] as const) {
    assert.notEqual(errno(rename(from, to)), 0);
    assert.notEqual(errno(link(from, to)), 0);
  }
  assert.equal(readFileSync(path.join(folder, "secret"), "utf8"), "secret");
  assert.deepEqual(readdirSync(folder).sort(), ["root", "secret"]);
});

test("what is done to a symlink is done to itself", () => {
  const { folder, root, ok, errno } = setUp();
  symlinkSync(path.join(folder, "secret"), path.join(root, "leak"));
  const before = statSync(path.join(folder, "secret"));
  assert.notEqual(errno(setattr("leak", 1, 0o777)), 0);
  ok(setattr("leak", 4 | 8 | 16 | 32));
  assert.equal(errno(link("leak", "hard")), ERRNO.EPERM);
  assert.equal(ok(new Request(OPS.readlink).path("leak")).toString(), path.join(folder, "secret"));
  ok(unlink("leak"));
  const now = statSync(path.join(folder, "secret"));
  assert.deepEqual([now.mode, now.mtimeMs, now.nlink], [before.mode, before.mtimeMs, 1]);
});

test("a directory that is swapped for a symlink between two requests, or during one, is not followed", () => {
  const { folder, root, errno } = setUp();
  const place = path.join(root, "sub");
  const aside = path.join(root, "aside");
  for (let round = 0; round < 200; round++) {
    renameSync(place, aside);
    symlinkSync(folder, place);
    assert.equal(errno(open("sub/secret", 1, O.rdonly)), ERRNO.ENOTDIR);
    assert.equal(errno(create("sub/planted", 1, O.wronly)), ERRNO.ENOTDIR);
    rmSync(place);
    renameSync(aside, place);
    assert.equal(errno(open("sub/secret", 1, O.rdonly)), ERRNO.ENOENT);
  }
  assert.deepEqual(readdirSync(folder).sort(), ["root", "secret"]);
});

test("nothing is changed through a mount that is there to be read", () => {
  const { root, ok, errno } = setUp({ access: "ro" });
  const attempts = [
    create("new", 1, O.wronly),
    create("file", 1, O.rdonly),
    open("file", 1, O.wronly),
    open("file", 1, O.rdwr),
    open("file", 1, O.rdonly | O.trunc),
    mkdir("d"),
    unlink("file"),
    new Request(OPS.rmdir).path("sub"),
    rename("file", "g"),
    link("file", "g"),
    symlink("l", "file"),
    setattr("file", 1, 0o777),
    setattr("file", 2, 0, 0),
    setattr("file", 4 | 16),
  ];
  for (const request of attempts) {
    assert.equal(errno(request), ERRNO.EROFS);
    assert.equal(errno(request.retry()), ERRNO.EROFS);
  }
  ok(open("file", 7, O.rdonly));
  assert.equal(errno(write(7, 0, "x")), ERRNO.EROFS);
  assert.equal(ok(read(7, 0, 100)).toString(), "content");
  assert.deepEqual(readdirSync(root).sort(), ["file", "sub"]);
});

test("only files, directories and symlinks are served, and no program that runs as somebody is written", () => {
  const { root, ok, errno } = setUp();
  chmodSync(path.join(root, "file"), 0o4755);
  assert.equal(errno(open("file", 1, O.wronly)), ERRNO.EPERM);
  assert.equal(errno(setattr("file", 2, 0, 0)), ERRNO.EPERM);
  assert.equal(errno(link("file", "hard")), ERRNO.EPERM);
  assert.equal(ok(lookup("file")).readUInt16BE(17), 0o755);
  ok(setattr("file", 1, 0o6777));
  assert.equal(statSync(path.join(root, "file")).mode & 0o7777, 0o777);
  ok(create("new", 1, O.wronly, 0o6777));
  assert.equal(statSync(path.join(root, "new")).mode & 0o7777, 0o777);
  chmodSync(path.join(root, "sub"), 0o2775);
  ok(setattr("sub", 1, 0o700));
  assert.equal(statSync(path.join(root, "sub")).mode & 0o7777, 0o2700);
  for (const kind of ["ro", "rw"] as const)
    assert.throws(() => new FileServer({ hostPath: "/proc/self", access: kind }), { errno: ERRNO.EACCES });
  assert.throws(() => new FileServer({ hostPath: "/dev/null", access: "ro" }), { errno: ERRNO.EACCES });
});

test("a single file is all that there is in its mount, also after it has been replaced", () => {
  const { root } = setUp();
  const server = new FileServer({ hostPath: path.join(root, "file"), access: "rw" });
  const ask = (request: Request) => server.answer(request.frame());
  const errno = (request: Request) => ask(request).readUInt32BE(12);
  assert.ok(server.isFile);
  assert.equal(errno(open("", 1, O.rdwr)), 0);
  assert.equal(
    ask(read(1, 0, 100))
      .subarray(16)
      .toString(),
    "content",
  );
  for (const name of ["sub", "file", "x"]) assert.equal(errno(lookup(name)), ERRNO.ENOTDIR);
  for (const request of [unlink(""), rename("", "x"), mkdir(""), link("", "x")]) assert.notEqual(errno(request), 0);
  writeFileSync(path.join(root, "other"), "other");
  renameSync(path.join(root, "other"), path.join(root, "file"));
  assert.equal(errno(open("", 2, O.rdonly)), 0);
  assert.equal(
    ask(read(2, 0, 100))
      .subarray(16)
      .toString(),
    "other",
  );
  rmSync(path.join(root, "file"));
  symlinkSync("/etc/passwd", path.join(root, "file"));
  assert.equal(errno(open("", 3, O.rdonly)), ERRNO.ELOOP);
});

test("a request that comes again is taken for done when it was", () => {
  const { root, ok, errno } = setUp();
  ok(mkdir("d"));
  assert.equal(errno(mkdir("d")), ERRNO.EEXIST);
  ok(mkdir("d").retry());
  ok(symlink("l", "target"));
  assert.equal(errno(symlink("l", "target")), ERRNO.EEXIST);
  ok(symlink("l", "target").retry());
  assert.equal(errno(symlink("l", "another").retry()), ERRNO.EEXIST);
  ok(rename("file", "moved"));
  assert.equal(errno(rename("file", "moved")), ERRNO.ENOENT);
  ok(rename("file", "moved").retry());
  assert.equal(errno(rename("nothing", "nowhere").retry()), ERRNO.ENOENT);
  ok(link("moved", "hard"));
  ok(link("moved", "hard").retry());
  assert.equal(errno(link("moved", "l").retry()), ERRNO.EEXIST);
  ok(unlink("hard"));
  assert.equal(errno(unlink("hard")), ERRNO.ENOENT);
  ok(unlink("hard").retry());
  ok(create("c", 1, O.wronly | O.excl));
  assert.equal(errno(create("c", 2, O.wronly | O.excl)), ERRNO.EEXIST);
  ok(create("c", 2, O.wronly | O.excl).retry());
  ok(write(1, 0, "one\n", 1));
  writeFileSync(path.join(root, "c"), "one\nby the host\n");
  ok(write(1, 4, "two\n", 1));
  assert.equal(readFileSync(path.join(root, "c"), "utf8"), "one\nby the host\ntwo\n");
  ok(write(1, 16, "two\n", 1).retry());
  assert.equal(readFileSync(path.join(root, "c"), "utf8"), "one\nby the host\ntwo\n");
});

test("a directory is read in pages, in the order of its names, and kept for its reader", () => {
  const { root, ok, errno } = setUp();
  const wanted = Array.from({ length: 1000 }, (_, index) => `n${index}`);
  for (const name of wanted) writeFileSync(path.join(root, "sub", name), "");
  const seen: string[] = [];
  for (let after = ""; ; ) {
    const page = ok(readdir("sub", 9, after, 4096));
    const names = namesOf(page);
    seen.push(...names);
    if (page[0] === 1) break;
    after = names.at(-1) as string;
    assert.ok(page.length <= 4096 && names.length > 0);
    // One that is made behind the reader's back does not shift the others.
    writeFileSync(path.join(root, "sub", "a-new-one"), "");
  }
  assert.deepEqual(seen, [...wanted].sort());
  assert.ok(namesOf(ok(readdir("sub", 9, "", 1 << 30))).includes("a-new-one"));
  // One entry comes however little is asked for.
  assert.equal(namesOf(ok(readdir("sub", 9, "", 0))).length, 1);
  assert.equal(errno(readdir("file", 9)), ERRNO.ENOTDIR);
});

test("files that a guest leaves open are bounded, and so is what it asks for", () => {
  const { ok, errno, server } = setUp({ maxHandles: 3 });
  for (const handle of [1, 2, 3, 3]) ok(open("file", handle, O.rdonly));
  assert.equal(errno(open("file", 4, O.rdonly)), ERRNO.ENFILE);
  assert.equal(errno(create("new", 4, O.wronly)), ERRNO.ENFILE);
  assert.equal(server.openFiles, 3);
  assert.equal(errno(read(1, 0, MAX_DATA_BYTES + 1)), ERRNO.EINVAL);
  assert.equal(errno(read(99, 0, 1)), ERRNO.EBADF);
  assert.equal(errno(write(1, 0, "x")), ERRNO.EBADF);
  assert.equal(ok(read(1, 2n ** 63n, 10)).length, 0);
  ok(new Request(OPS.release).u64(1));
  ok(open("file", 1, O.rdwr));
  assert.equal(errno(write(1, 2n ** 63n, "x")), ERRNO.EFBIG);
  assert.equal(errno(setattr("file", 2, 0, 2n ** 63n)), ERRNO.EFBIG);
  assert.equal(errno(lookup(Buffer.alloc(5000, "n"))), ERRNO.ENAMETOOLONG);
  assert.equal(errno(lookup("n".repeat(256))), ERRNO.ENAMETOOLONG);
  server.close();
  assert.equal(server.openFiles, 0);
});

test("where firebreak is root, new files belong to the owner of the directory", {
  skip: process.geteuid?.() === 0 ? false : "it is not root",
}, () => {
  const folder = path.join(base, `t${++count}`);
  mkdirSync(folder);
  chownSync(folder, 1234, 2345);
  const server = new FileServer({ hostPath: folder, access: "rw" });
  for (const request of [create("f", 1, O.wronly), mkdir("d"), symlink("l", "/etc/passwd")])
    assert.equal(server.answer(request.frame()).readUInt32BE(12), 0);
  for (const name of ["f", "d", "l"]) {
    const { uid, gid } = lstatSync(path.join(folder, name));
    assert.deepEqual([uid, gid], [1234, 2345], name);
  }
  assert.equal(statSync("/etc/passwd").uid, 0);
});

test("what is no request ends the mount's attachment", () => {
  const { server } = setUp();
  const frames = [
    Buffer.alloc(0),
    Buffer.alloc(9),
    lookup("file").raw("x").frame(),
    new Request(99).frame(),
    new Request(0).frame(),
    new Request(OPS.lookup).frame(),
    new Request(OPS.lookup).raw(Buffer.of(0, 9, 1)).frame(),
    open("file", 0, O.rdonly).frame(),
    new Request(OPS.write).u64(1).u64(0).u8(2).raw("x").frame(),
    write(1, 0, Buffer.alloc(MAX_DATA_BYTES + 1)).frame(),
    setattr("file", 64).frame(),
    new Request(OPS.read).u64(1).frame(),
  ];
  for (const frame of frames) assert.throws(() => server.answer(frame), MalformedFrame);
  const flagged = lookup("file").frame();
  flagged[9] = 2;
  assert.throws(() => server.answer(flagged), MalformedFrame);
});

test("no bytes make it throw anything else, or touch what lies outside", () => {
  const { folder, root, server } = setUp();
  symlinkSync(folder, path.join(root, "out"));
  linkSync(path.join(root, "file"), path.join(root, "hard"));
  const name = fc.constantFrom(
    "file",
    "sub",
    "sub/x",
    "out",
    "out/secret",
    "..",
    "../secret",
    "/etc/passwd",
    "hard",
    "",
    "x",
    "x/y",
  );
  const field = fc.oneof(
    name.map((text) => new Request(0).path(text).bytes()),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.bigInt({ min: 0n, max: 5n }).map((value) => new Request(0).u64(value).bytes()),
    fc.integer({ min: 0, max: 0xffffffff }).map((value) => new Request(0).u32(value).bytes()),
    fc.constantFrom(0, 1, 2).map((value) => Buffer.of(value)),
  );
  const request = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean(), fc.array(field, { maxLength: 6 }));
  fc.assert(
    fc.property(fc.array(request, { maxLength: 12 }), (requests) => {
      for (const [op, isRetry, fields] of requests) {
        const made = new Request(op).raw(Buffer.concat(fields));
        try {
          server.answer((isRetry ? made.retry() : made).frame());
        } catch (error) {
          assert.ok(error instanceof MalformedFrame, String(error));
        }
      }
      assert.deepEqual(readdirSync(folder).sort(), ["root", "secret"]);
      assert.equal(readFileSync(path.join(folder, "secret"), "utf8"), "secret");
      assert.equal(statSync(path.join(folder, "secret")).nlink, 1);
    }),
    { numRuns: 2000 },
  );
  assert.ok(existsSync(root));
});
