import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { indexLayers, type Layer, packLayers } from "../../src/images/flatten.ts";
import { receiveArchive } from "../../src/images/import.ts";
import { listImages } from "../../src/images/store.ts";
import { readTar } from "../../src/images/tar-reader.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { runCommand } from "../../src/platform/process.ts";
import { sha256, writeLayout } from "../support/oci-layout.ts";
import { type Member, makeTar } from "../support/tar-archive.ts";

let scratch: string;
let paths: FirebreakPaths;

before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "fb-hostile-image-"));
  paths = resolvePaths({
    FIREBREAK_HOME: path.join(scratch, "home"),
    FIREBREAK_RUNTIME_DIR: path.join(scratch, "run"),
  });
  createPaths(paths);
});
after(() => rm(scratch, { recursive: true, force: true }));

function layerOf(bytes: Buffer, extra: Partial<Layer> = {}): Layer {
  return { open: () => Readable.from([bytes]), sizeBytes: bytes.length, ...extra };
}

/** Packs layers; returns the paths that the image has, with their kinds. */
async function pack(...layers: (readonly Member[])[]): Promise<Map<string, string>> {
  const folder = await mkdtemp(path.join(scratch, "pack-"));
  const target = path.join(folder, "image");
  await packLayers(
    layers.map((members) => layerOf(makeTar(members))),
    target,
    { hasWhiteouts: true },
  );
  const { stdout } = await runCommand("unsquashfs", ["-lln", target]);
  const lines = stdout.split("\n").flatMap((line) => {
    const match = /^([-dlcbps])\S* .*? squashfs-root(?:\/(.*?))?(?: -> (.*))?$/.exec(line);
    return match?.[2] === undefined ? [] : [[match[2], match[3] ?? (match[1] as string)] as const];
  });
  return new Map(lines);
}

const SYSTEM = ["dev", "proc", "sys", "etc", "run", "tmp", "root"];
const own = (found: Map<string, string>) => Object.fromEntries([...found].filter(([name]) => !SYSTEM.includes(name)));
const file = (name: string, content = "evil"): Member => ({ path: name, content });
const link = (name: string, linkTarget: string): Member => ({ path: name, type: "symlink", linkTarget });

const outside = () => path.join(scratch, "outside");

test("links that lead out of the image lead back into it, and nothing is written on the host", async () => {
  const before = (await readdir(scratch)).length;
  const found = await pack(
    [link("up", "../../../../../../.."), link("abs", scratch), link("loop", "loop"), { path: "real/" }],
    [file("up/outside"), file("abs/outside")],
  );
  assert.equal(existsSync(outside()), false);
  assert.equal((await readdir(scratch)).length, before + 1);
  // The root's parent is the root; an absolute target begins at it.
  assert.equal(found.get("outside"), "-");
  assert.equal(found.get(`${scratch.slice(1)}/outside`), "-");
});

test("an absolute path is one in the image", async () => {
  assert.deepEqual(own(await pack([file(`${outside()}`)])), Object.fromEntries(foldersOf(outside())));
  assert.equal(existsSync(outside()), false);
});

/** `/a/b`: a is a folder, a/b a file. */
function foldersOf(file: string): [string, string][] {
  const names = file.slice(1).split("/");
  // What every image has is left out by `own`.
  return names
    .map((_, index): [string, string] => [names.slice(0, index + 1).join("/"), index === names.length - 1 ? "-" : "d"])
    .filter(([name]) => !SYSTEM.includes(name));
}

const refused: [string, Member[]][] = [
  ["a path with ..", [file("../outside")]],
  ["a deep path with ..", [{ path: "a/" }, file("a/../../outside")]],
  ["a hard link out of the image", [file("a"), { path: "b", type: "link", linkTarget: "../../etc/passwd" }]],
  ["a hard link to a file of the host", [file("a"), { path: "b", type: "link", linkTarget: "/etc/hostname" }]],
  ["a hard link to a directory", [{ path: "d/" }, file("a"), { path: "b", type: "link", linkTarget: "d" }]],
  ["a file below links in a circle", [link("a", "b"), link("b", "a"), file("a/x")]],
  ["a file below a file", [file("a"), file("a/b")]],
  ["a link where the devices are to be", [file("a"), link("dev", "/")]],
  ["a file where the processes are to be", [file("proc")]],
  ["a name that is too long", [file("n".repeat(256))]],
  ["a path that is too long", [file(Array(600).fill("dir").join("/") + "/".repeat(3000))]],
  ["too many directories", [file(`${"d/".repeat(1500)}x`)]],
  ["no file at all", [{ path: "a/" }, link("b", "a")]],
  ["a root that is a file", [file("./")].map((member) => ({ ...member, type: "file" as const }))],
];
for (const [name, members] of refused) {
  test(`an image with ${name} is refused`, async () => {
    await assert.rejects(pack(members), { code: "ARCHIVE_INVALID" });
    assert.equal(existsSync(outside()), false);
  });
}

test("whiteouts take away what lower layers had, whatever the order, and nothing else", async () => {
  const lower = [file("etc/a"), file("etc/b"), file("dir/old"), file("dir/sub/old"), file("kept")];
  const upper = [
    file("dir/new"),
    file("dir/.wh..wh..opq"),
    file("etc/a", "again"),
    file("etc/.wh.a"),
    file("etc/.wh.b"),
  ];
  assert.deepEqual(own(await pack(lower, upper)), { "etc/a": "-", dir: "d", "dir/new": "-", kept: "-" });
});

test("a whiteout of what is not there, of the root's parent, or through a link out takes nothing away", async () => {
  const found = await pack(
    [file("a"), link("up", "../..")],
    [file(".wh.nothing"), file("nowhere/.wh.a"), file(".wh..."), file("up/.wh.."), file(".wh..wh.plnk")],
  );
  assert.deepEqual(own(found), { a: "-", up: "../.." });
});

test("a directory in place of a link is a directory, and what was behind the link stays", async () => {
  const found = await pack([file("real/a"), link("l", "real")], [{ path: "l/" }, file("l/b")]);
  assert.deepEqual(own(found), { real: "d", "real/a": "-", l: "d", "l/b": "-" });
});

test("devices stay what they are in the image; none is made on the host, and what is in /dev is left out", async () => {
  const device = { type: "block", deviceMajor: 8, deviceMinor: 0 } as const;
  const found = await pack([file("a"), { path: "disk", ...device }, { path: "dev/" }, { path: "dev/sda", ...device }]);
  assert.deepEqual(own(found), { a: "-", disk: "b" });
});

test("hard links across layers have one content, also when the first name is taken away", async () => {
  const folder = await mkdtemp(path.join(scratch, "links-"));
  const target = path.join(folder, "image");
  const lower = makeTar([file("a", "content"), { path: "b", type: "link", linkTarget: "a" }]);
  const upper = makeTar([file(".wh.a"), { path: "c", type: "link", linkTarget: "./b" }]);
  await packLayers([layerOf(lower), layerOf(upper)], target, { hasWhiteouts: true });
  for (const name of ["b", "c"])
    assert.equal((await runCommand("unsquashfs", ["-cat", target, name])).stdout, "content");
});

test("setuid bits, owners, times and file capabilities are kept for the guest; other attributes are not", async () => {
  const folder = await mkdtemp(path.join(scratch, "meta-"));
  const target = path.join(folder, "image");
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex").toString("latin1");
  const members: Member[] = [
    {
      path: "ping",
      mode: 0o4755,
      uid: 3_000_000,
      gid: 7,
      mtimeSeconds: 86_400,
      content: "x",
      xattrs: { "security.capability": capability },
    },
    { path: "over", content: "x", xattrs: { "trusted.overlay.redirect": "/elsewhere", "security.selinux": "x" } },
  ];
  await packLayers([layerOf(makeTar(members))], target, { hasWhiteouts: true });
  const { stdout } = await runCommand("unsquashfs", ["-lln", target]);
  assert.match(stdout, /-rwsr-xr-x 3000000\/7 .* 1970-01-02 .*\/ping/);
  const tree = path.join(folder, "tree");
  await runCommand("unsquashfs", ["-d", tree, target], { allowFailure: true });
  const attributes = await runCommand("python3", [
    "-c",
    "import os,sys; print(os.listxattr(sys.argv[1]), os.listxattr(sys.argv[2]))",
    path.join(tree, "ping"),
    path.join(tree, "over"),
  ]);
  assert.equal(attributes.stdout.trim(), "['security.capability'] []");
});

test("names of bytes that are no text, and of 255 bytes, come through as they are", async () => {
  const folder = await mkdtemp(path.join(scratch, "names-"));
  const target = path.join(folder, "image");
  const names = ["caf\xe9", "n".repeat(255), `${"d".repeat(200)}/${"e".repeat(200)}/f`];
  await packLayers([layerOf(makeTar(names.map((name) => file(name, name))))], target, { hasWhiteouts: true });
  const tree = path.join(folder, "tree");
  await runCommand("unsquashfs", ["-d", tree, target]);
  for (const name of names)
    assert.equal(await readFile(Buffer.from(`${tree}/${name}`, "latin1"), "utf8"), Buffer.from(name).toString());
});

test("an image that unpacks to too much, or to too many members, is refused before it is all read", async () => {
  const zeros = makeTar([file("zeros", "\0".repeat(4 * 1024 * 1024))]);
  for (const bomb of [gzipSync(zeros), zstdCompressSync(zeros)]) {
    let handedOut = 0;
    const pieces = function* () {
      // The same again and again: gzip and zstd both take it for more of the same stream.
      for (let count = 0; count < 1000; count++) {
        handedOut++;
        yield bomb;
      }
    };
    const layer = { open: () => Readable.from(pieces()), sizeBytes: bomb.length * 1000 };
    const limits = { maxEntries: 10, maxBytes: 20 * 1024 * 1024 };
    await assert.rejects(indexLayers([layer], { hasWhiteouts: true, limits }), { code: "IMAGE_TOO_LARGE" });
    assert.ok(handedOut < 1000);
  }
  const many = makeTar(Array.from({ length: 2000 }, (_, index) => file(`f${index}`, "")));
  const limits = { maxEntries: 1000, maxBytes: 2 ** 30 };
  await assert.rejects(indexLayers([layerOf(many)], { hasWhiteouts: true, limits }), { code: "IMAGE_TOO_LARGE" });
});

test("an archive that announces more than it has, or nothing that is true, is refused", async () => {
  const good = makeTar([file("a", "x".repeat(3000)), file("b")]);
  const huge = Buffer.from(good);
  // 2^62 bytes, in base 256.
  Buffer.from("800000004000000000000000", "hex").copy(huge, 124);
  const lied = makeTar([{ path: "a", content: "x", sizeBytes: 2 ** 33 }]);
  const meta = makeTar([{ path: "a", content: "x" }]);
  meta.write("x", 156);
  for (const bytes of [
    ...[
      good.subarray(0, 1500),
      good.subarray(0, good.length - 1024),
      Buffer.alloc(0),
      Buffer.alloc(100),
      Buffer.from("no tar".repeat(200)),
    ],
    ...[
      huge,
      lied,
      meta,
      gzipSync(good).subarray(0, 60),
      Buffer.concat([gzipSync(good).subarray(0, 20), Buffer.alloc(500, 7)]),
    ],
    ...[Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3]), zstdCompressSync(good).subarray(0, 40)],
  ])
    await assert.rejects(indexLayers([layerOf(bytes)], { hasWhiteouts: true }), { code: "ARCHIVE_INVALID" });
});

test("a layer that is not what its digest says is refused", async () => {
  const bytes = makeTar([file("a")]);
  await indexLayers([layerOf(gzipSync(bytes), { diffId: sha256(bytes) })], { hasWhiteouts: true });
  const other = layerOf(gzipSync(bytes), { diffId: sha256(Buffer.from("other")) });
  await assert.rejects(indexLayers([other], { hasWhiteouts: true }), { code: "ARCHIVE_INVALID" });
});

test("any bytes are a tar or ARCHIVE_INVALID", async () => {
  const seed = makeTar([{ path: "d/" }, file("d/a", "x".repeat(700)), link("l", "d"), file("n".repeat(150), "long")]);
  const change = fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(change, fc.nat(seed.length), async (changes, length) => {
      const bytes = Buffer.from(seed.subarray(0, Math.max(length, 512)));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      try {
        for await (const { content } of readTar(Readable.from([bytes]))) for await (const _ of content());
      } catch (error) {
        assert.ok(error instanceof FirebreakError && error.code === "ARCHIVE_INVALID", String(error));
      }
    }),
    { numRuns: 500 },
  );
});

/** What comes of an archive that somebody sends. */
async function receive(format: "oci-archive" | "docker-archive", bytes: Buffer, reference?: string) {
  const request = { name: "sent", format, ...(reference === undefined ? {} : { reference }) };
  return receiveArchive(paths, request, Readable.from([bytes]), ({ finish }) => finish({}));
}

async function archiveOf(folder: string): Promise<Buffer> {
  const members: Member[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) {
      const full = path.join(entry.parentPath, entry.name);
      members.push({ path: path.relative(folder, full), content: await readFile(full) });
    }
  return makeTar(members);
}

test("an OCI archive's parts are those of the archive and have their digests, or it is refused and nothing is left", async () => {
  const folder = await mkdtemp(path.join(scratch, "oci-"));
  await writeLayout(folder, [{ layers: [makeTar([file("a")])] }]);
  const [digest = ""] = await readdir(path.join(folder, "blobs/sha256"));
  const blob = path.join(folder, "blobs/sha256", digest);
  const whole = await readFile(blob);
  await receive("oci-archive", await archiveOf(folder));
  const before = await listImages(paths);

  await writeFile(blob, Buffer.concat([whole.subarray(1), whole.subarray(0, 1)]));
  await assert.rejects(receive("oci-archive", await archiveOf(folder)));
  // A link of the archive leads to nothing but the archive.
  await rm(blob);
  const secret = path.join(scratch, "secret");
  await writeFile(secret, whole);
  const linked = Buffer.concat([
    makeTar([
      link(`blobs/sha256/${digest}`, secret),
      { path: `blobs/sha256/${digest}`, type: "link", linkTarget: secret },
    ]).subarray(0, 1024),
    await archiveOf(folder),
  ]);
  await assert.rejects(receive("oci-archive", linked), { code: "IMAGE_INVALID" });
  assert.deepEqual(await listImages(paths), before);
  assert.deepEqual(
    (await readdir(paths.images)).filter((name) => name.startsWith(".work-")),
    [],
  );
});

test("digests and names in an index that are paths are refused", async () => {
  const folder = await mkdtemp(path.join(scratch, "paths-"));
  await mkdir(path.join(folder, "x"));
  for (const digest of [
    "sha256:../../../../etc/passwd",
    "sha256:",
    "../index.json",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
  ]) {
    const index = { schemaVersion: 2, manifests: [{ mediaType: "x", digest, size: 1 }] };
    await assert.rejects(receive("oci-archive", makeTar([file("index.json", JSON.stringify(index))])), {
      code: "IMAGE_INVALID",
    });
  }
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { diff_ids: [sha256(Buffer.from("x"))] },
  });
  const manifest = (layer: string) => JSON.stringify([{ Config: "c.json", RepoTags: ["a:1"], Layers: [layer] }]);
  for (const layer of ["/etc/passwd", "../../../../etc/passwd", "missing/layer.tar"]) {
    const archive = makeTar([file("manifest.json", manifest(layer)), file("c.json", config)]);
    await assert.rejects(receive("docker-archive", archive), { code: "IMAGE_INVALID" });
  }
  for (const text of ["", "{", "[]", "{}", '{"manifests":[]}', '{"manifests":{}}', `[${"[".repeat(5000)}`]) {
    await assert.rejects(receive("oci-archive", makeTar([file("index.json", text)])), {
      code: /^(IMAGE_INVALID|IMAGE_NOT_FOUND)$/,
    });
    await assert.rejects(receive("docker-archive", makeTar([file("manifest.json", text)])), { code: "IMAGE_INVALID" });
  }
});

test("indexes that name one another do not go round for ever", async () => {
  const folder = await mkdtemp(path.join(scratch, "nested-"));
  await writeLayout(folder, [{ layers: [makeTar([file("a")])] }]);
  let archive = await archiveOf(folder);
  for (let depth = 0; depth < 6; depth++) {
    const index = Buffer.from(JSON.stringify({ manifests: [{ mediaType: "x", ...(await inner(archive)) }] }));
    archive = index;
  }
  const members = [...nested].map(([digest, bytes]) => ({ path: `blobs/sha256/${digest.slice(7)}`, content: bytes }));
  await assert.rejects(receive("oci-archive", makeTar([...members, file("index.json", archive.toString())])), {
    code: "IMAGE_INVALID",
  });
});

const nested = new Map<string, Buffer>();
async function inner(bytes: Buffer): Promise<{ digest: string; size: number }> {
  const digest = sha256(bytes);
  nested.set(digest, bytes);
  return { digest, size: bytes.length };
}

test("a link in the images' folder is no image", async () => {
  await symlink("/etc", path.join(paths.images, "0123456789abcdef"));
  assert.ok((await listImages(paths)).every((image) => image.folder !== path.join(paths.images, "0123456789abcdef")));
});
