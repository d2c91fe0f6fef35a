import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { FakeDisk } from "../../test/support/fake-disk.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { Manifest } from "./manifest.ts";
import { type Saved, SavedFolder } from "./saved-folder.ts";

const MIB = 1024 * 1024;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const corrupt = (error: unknown) => error instanceof FirebreakError && error.code === "SNAPSHOT_CORRUPT";

let root: string;
let digests: string[];
let folder: SavedFolder;
/** A disk that notes what was read through. */
class WatchedDisk extends FakeDisk {
  override digest(file: string) {
    digests.push(path.basename(path.dirname(file)));
    return super.digest(file);
  }
}
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), "fb-saved-"));
  digests = [];
  folder = new SavedFolder(root, new WatchedDisk());
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function manifestOf(id: string, drive: string | null, changes: Partial<Manifest> = {}): Manifest {
  const overlay =
    drive === null ? {} : { overlay: { sha256: sha256(drive), dataBytes: drive.length, sizeBytes: drive.length } };
  return {
    format: 1,
    id,
    createdAt: new Date().toISOString(),
    machine: { memoryMib: 1, cpus: 1, diskMib: 64, driver: "fake", driverVersion: "1", accel: "tcg" },
    host: {},
    image: "debian",
    imageDigest: "sha256:0",
    kernelId: "k",
    agent: { generation: 1, features: [] },
    memory: { sha256: sha256("memory"), dataBytes: 6 },
    state: { sha256: sha256("state"), sizeBytes: 5 },
    policy: { mode: "none" },
    stoppedMs: 0,
    ...overlay,
    ...changes,
  };
}

async function commit(id: string, drive: string | null = "drive", changes: Partial<Manifest> = {}): Promise<Saved> {
  const staged = await folder.stage(id);
  writeFileSync(staged.memoryPath, Buffer.alloc(MIB));
  writeFileSync(staged.statePath, "state");
  if (drive !== null) writeFileSync(staged.overlayPath, drive);
  return folder.commit(staged, manifestOf(id, drive, changes));
}

const ID = "0123456789ab";

function replaceByPipe(file: string): void {
  rmSync(file);
  execFileSync("mkfifo", [file]);
}

function replaceByLink(file: string): void {
  renameSync(file, path.join(root, ".elsewhere"));
  symlinkSync(path.join(root, ".elsewhere"), file);
}

test("a saved machine appears as a whole: what is staged is neither got nor listed", async () => {
  const staged = await folder.stage(ID);
  writeFileSync(staged.memoryPath, "half");
  assert.equal(await folder.get(ID), undefined);
  assert.deepEqual(await folder.list(() => assert.fail("a folder under construction is not corrupt")), []);
  await commit(ID);
  const saved = await folder.get(ID);
  assert.equal(saved?.manifest.id, ID);
  assert.deepEqual(readdirSync(root), [ID]);
});

test("nobody but the daemon's user may read it", async () => {
  const { statSync } = await import("node:fs");
  const saved = await commit(ID);
  assert.equal(statSync(saved.folder).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(saved.folder, "manifest.json")).mode & 0o777, 0o600);
});

test("a commit replaces an older machine of the id, and leaves nothing of it", async () => {
  await commit(ID, "old");
  const saved = await commit(ID, "newer");
  assert.equal(readFileSync(saved.overlayPath, "utf8"), "newer");
  await folder.verifyOverlay((await folder.get(ID)) as Saved);
  assert.deepEqual(readdirSync(root), [ID]);
});

test("staging twice begins anew", async () => {
  const first = await folder.stage(ID);
  writeFileSync(first.memoryPath, "left by an attempt that failed");
  const second = await folder.stage(ID);
  assert.deepEqual(readdirSync(second.folder), []);
});

test("what was discarded is gone", async () => {
  await folder.discard(await folder.stage(ID));
  assert.deepEqual(readdirSync(root), []);
});

test("a deletion leaves nothing, and may be repeated", async () => {
  await commit(ID);
  await folder.delete(ID);
  await folder.delete(ID);
  assert.deepEqual(readdirSync(root), []);
  assert.equal(await folder.get(ID), undefined);
});

test("a deletion stays below its root, whatever the id", async () => {
  const outside = mkdtempSync(path.join(os.tmpdir(), "fb-outside-"));
  try {
    writeFileSync(path.join(outside, "file"), "");
    for (const id of [`../${path.basename(outside)}`, outside, ".."]) await folder.delete(id).catch(() => {});
    assert.deepEqual(readdirSync(outside), ["file"]);
    assert.deepEqual(readdirSync(root), []);
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
});

test("a sweep removes what a dead daemon left half made or half removed, and nothing else", async () => {
  await commit(ID);
  await folder.stage("aaaaaaaaaaaa");
  mkdirSync(path.join(root, ".gone-bbbbbbbbbbbb"));
  mkdirSync(path.join(root, "cccccccccccc"));
  await folder.sweep();
  assert.deepEqual(readdirSync(root).sort(), [ID, "cccccccccccc"]);
  await new SavedFolder(path.join(root, "nowhere"), new FakeDisk()).sweep();
});

test("what is not whole is refused, and says what is wrong", async () => {
  const cases: [string, (folder: string) => void, RegExp][] = [
    ["no manifest", (at) => rmSync(path.join(at, "manifest.json")), /no manifest/],
    ["a manifest of nothing", (at) => writeFileSync(path.join(at, "manifest.json"), ""), /not one that this firebreak/],
    ["no JSON", (at) => writeFileSync(path.join(at, "manifest.json"), "{"), /not one that this firebreak/],
    [
      "another's manifest",
      (at) => writeFileSync(path.join(at, "manifest.json"), JSON.stringify(manifestOf("f".repeat(12), "drive"))),
      /that of ffffffffffff/,
    ],
    ["no memory", (at) => rmSync(path.join(at, "memory")), /memory has no bytes/],
    ["short memory", (at) => writeFileSync(path.join(at, "memory"), "short"), /memory has 5 bytes instead of 1048576/],
    ["no state", (at) => rmSync(path.join(at, "state")), /state has no bytes/],
    ["long state", (at) => writeFileSync(path.join(at, "state"), "state!"), /state has 6 bytes instead of 5/],
    ["no drive", (at) => rmSync(path.join(at, "overlay.ext4")), /overlay.ext4 has no bytes/],
    [
      "a folder for a file",
      (at) => {
        rmSync(path.join(at, "memory"));
        mkdirSync(path.join(at, "memory"));
      },
      /memory has/,
    ],
    ["a pipe for a file", (at) => replaceByPipe(path.join(at, "memory")), /memory has 0 bytes/],
    ["a pipe for the manifest", (at) => replaceByPipe(path.join(at, "manifest.json")), /no manifest/],
    ["a link to a right file", (at) => replaceByLink(path.join(at, "memory")), /memory has/],
    ["a link to a right manifest", (at) => replaceByLink(path.join(at, "manifest.json")), /no manifest/],
    [
      "a manifest without end",
      (at) => {
        rmSync(path.join(at, "manifest.json"));
        symlinkSync("/dev/zero", path.join(at, "manifest.json"));
      },
      /no manifest/,
    ],
    ["a manifest too large", (at) => truncateSync(path.join(at, "manifest.json"), 17 * MIB), /no manifest/],
  ];
  for (const [what, harm, words] of cases) {
    const saved = await commit(ID);
    harm(saved.folder);
    await assert.rejects(
      folder.get(ID),
      (error: unknown) => corrupt(error) && words.test((error as Error).message),
      what,
    );
    const told: string[] = [];
    assert.deepEqual(await folder.list((id) => told.push(id)), []);
    assert.deepEqual(told, [ID], what);
    await folder.delete(ID);
  }
});

test("a drive that is not what was saved is refused, also under an older file's time", async () => {
  const saved = await commit(ID, "drive");
  await folder.verifyOverlay(saved);
  writeFileSync(saved.overlayPath, "dRive");
  utimesSync(saved.overlayPath, new Date(0), new Date(0));
  await assert.rejects(folder.verifyOverlay(saved), corrupt);
  await assert.rejects(folder.verifyOverlay(saved), corrupt, "and again");
});

test("a drive is read through once, and again when somebody has touched it or another daemon asks", async () => {
  const saved = await commit(ID, "drive");
  await folder.verifyOverlay(saved);
  assert.deepEqual(digests, [], "it was ours a moment ago");
  utimesSync(saved.overlayPath, new Date(0), new Date(0));
  await folder.verifyOverlay(saved);
  await folder.verifyOverlay(saved);
  assert.deepEqual(digests, [ID]);
  const later = new SavedFolder(root, new WatchedDisk());
  await later.verifyOverlay((await later.get(ID)) as Saved);
  assert.deepEqual(digests, [ID, ID]);
});

test("a machine without a drive of its own is whole, and nothing that lies there is taken for its drive", async () => {
  const saved = await commit(ID, null);
  assert.equal((await folder.get(ID))?.manifest.overlay, undefined);
  writeFileSync(saved.overlayPath, "somebody else's");
  await assert.rejects(folder.verifyOverlay(saved), corrupt);
  assert.deepEqual(digests, []);
});

test("the list is in order of creation; the order of use is that of the folders' times", async () => {
  const ids = ["cccccccccccc", "aaaaaaaaaaaa", "bbbbbbbbbbbb"];
  for (const [index, id] of ids.entries()) await commit(id, "drive", { createdAt: new Date(index).toISOString() });
  const all = await folder.list(() => {});
  assert.deepEqual(
    all.map((saved) => saved.manifest.id),
    ids,
  );
  for (const [index, id] of ["aaaaaaaaaaaa", "cccccccccccc", "bbbbbbbbbbbb"].entries())
    utimesSync(path.join(root, id), 100 - index, 100 - index);
  assert.deepEqual(
    (await folder.sortByUse(all)).map((saved) => saved.manifest.id),
    ["aaaaaaaaaaaa", "cccccccccccc", "bbbbbbbbbbbb"],
  );
});
