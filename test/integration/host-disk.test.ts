import assert from "node:assert/strict";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { HostDisk } from "../../src/daemon/host-disk.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";

const MIB = 1024 * 1024;
const folder = mkdtempSync(path.join(os.tmpdir(), "fb-disk-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => path.join(folder, name);
const disk = new HostDisk(agentBinaryPath());

test("a copy has the same content and keeps the holes", async () => {
  writeFileSync(file("drive"), "begin");
  truncateSync(file("drive"), 256 * MIB);
  await disk.copySparse(file("drive"), file("copy"));
  assert.deepEqual(await disk.digest(file("copy")), await disk.digest(file("drive")));
  assert.equal(statSync(file("copy")).size, 256 * MIB);
  assert.ok(statSync(file("copy")).blocks * 512 < MIB, "holes are holes");
});

test("a copy that a dead daemon's process still writes is not the one that takes its place", async () => {
  writeFileSync(file("source"), "right");
  writeFileSync(file("target"), "");
  const late = openSync(file("target"), "r+");
  await disk.copySparse(file("source"), file("target"));
  writeSync(late, "wrong", 0);
  closeSync(late);
  assert.equal(readFileSync(file("target"), "utf8"), "right");
});

test("a copy that fails leaves none", async () => {
  await assert.rejects(disk.copySparse(file("nothing"), file("none")), { code: "TOOL_FAILED" });
  assert.throws(() => statSync(file("none")), { code: "ENOENT" });
});

test("a digest is that of the content, wherever the holes are", async () => {
  writeFileSync(file("dense"), Buffer.alloc(MIB));
  writeFileSync(file("hole"), "");
  truncateSync(file("hole"), MIB);
  const [dense, hole] = [await disk.digest(file("dense")), await disk.digest(file("hole"))];
  assert.deepEqual(dense, hole);
  assert.deepEqual([hole.dataBytes, hole.sizeBytes], [0, MIB]);
});
