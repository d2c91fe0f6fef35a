import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import {
  createWorkDir,
  findMountBelow,
  parseWorkDirName,
  removeStaleWorkDirs,
  withWorkDir,
  writeFileAtomic,
} from "./work-dir.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
});
after(() => rm(folder, { recursive: true }));

test("work folders of the dead are removed; those in use and other things stay", async () => {
  const parent = path.join(folder, "stale");
  const own = await createWorkDir(parent);
  await mkdir(path.join(parent, ".work-1-0-00000000/deep"), { recursive: true });
  await writeFile(path.join(parent, ".work-1-0-00000000/deep/file"), "x");
  await mkdir(path.join(parent, "0123456789abcdef"));
  await removeStaleWorkDirs(parent);
  assert.deepEqual((await readdir(parent)).sort(), [path.basename(own), "0123456789abcdef"].sort());
});

test("a work folder goes away when its use fails", async () => {
  const parent = path.join(folder, "fail");
  await assert.rejects(
    withWorkDir(parent, async (work) => {
      await writeFile(path.join(work, "half"), "x");
      throw new Error("stop");
    }),
    /stop/,
  );
  assert.deepEqual(await readdir(parent), []);
});

test("only names that createWorkDir makes are taken for work folders", () => {
  assert.deepEqual(parseWorkDirName(".work-12-345-0123abcd"), { pid: 12, startTicks: 345 });
  for (const name of [".work-", "work-1-2-01234567", ".work-1-2-01234567x", "tags"]) {
    assert.equal(parseWorkDirName(name), undefined);
  }
});

test("an atomic write replaces the content and leaves nothing beside it", async () => {
  const file = path.join(folder, "tag");
  await writeFileAtomic(file, "one");
  await writeFileAtomic(file, "two");
  assert.equal(await readFile(file, "utf8"), "two");
  assert.equal((await readdir(folder)).filter((name) => name.startsWith("tag")).length, 1);
});

test("a mount inside a folder is seen, also with blanks in its path; one beside it is not", () => {
  const mounts = [
    "27 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "44 27 0:22 / /home/a\\040b/work/sys ro,nosuid - sysfs sys rw",
    "45 27 0:40 / /tmp/work-2/proc rw - proc proc rw",
  ].join("\n");
  assert.equal(findMountBelow(mounts, "/home/a b/work"), "/home/a b/work/sys");
  assert.equal(findMountBelow(mounts, "/tmp/work-2/proc"), "/tmp/work-2/proc");
  assert.equal(findMountBelow(mounts, "/tmp/work"), undefined);
});
