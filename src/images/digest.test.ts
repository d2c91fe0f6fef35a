import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { hashFile, matchesIntegrity } from "./digest.ts";
import { checkNpmArchive } from "./npm.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
});
after(() => rm(folder, { recursive: true }));

test("a file's digest is that of its content", async () => {
  const file = path.join(folder, "abc");
  await writeFile(file, "abc");
  // FIPS 180-4's example.
  assert.equal(await hashFile(file), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("only the one content matches an integrity, and only sha512 is accepted", async () => {
  const file = path.join(folder, "package.tgz");
  await writeFile(file, "content");
  const integrity = `sha512-${createHash("sha512").update("content").digest("base64")}`;
  assert.equal(await matchesIntegrity(file, integrity), true);
  await writeFile(file, "Content");
  assert.equal(await matchesIntegrity(file, integrity), false);
  const weak = `sha1-${createHash("sha1").update("Content").digest("base64")}`;
  for (const value of ["", "sha512-", weak, `${integrity} ${weak}`])
    assert.equal(await matchesIntegrity(file, value), false);
});

test("an npm archive with another content is removed and refused", async () => {
  const file = path.join(folder, "tampered.tgz");
  await writeFile(file, "something else");
  const integrity = `sha512-${createHash("sha512").update("content").digest("base64")}`;
  await assert.rejects(checkNpmArchive({ name: "p", version: "1.0.0", integrity }, file), {
    code: "IMAGE_BUILD_FAILED",
  });
  await assert.rejects(stat(file), { code: "ENOENT" });
});
