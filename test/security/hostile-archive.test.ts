import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Header } from "tar";
import { copyOut } from "../../src/cli/copy.ts";
import type { DaemonClient } from "../../src/client/daemon-client.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-tar-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  path: string;
  type: "File" | "SymbolicLink" | "Link" | "Directory" | "CharacterDevice";
  linkpath?: string;
  content?: string;
}

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

/** A daemon that hands out what a hostile guest made. */
function clientWith(archive: Buffer): DaemonClient {
  return {
    fileStat: async () => ({ path: "/x", type: "directory", sizeBytes: 0, mode: "0755", uid: 0, gid: 0, mtimeMs: 0 }),
    archiveRead: async () => Readable.from([archive]),
  } as Partial<DaemonClient> as DaemonClient;
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
