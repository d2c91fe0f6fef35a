import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type FirebreakPaths, resolvePaths } from "../platform/paths.ts";
import { deleteImage, findImage, getImage, listImages, tagImage, verifyImage } from "./store.ts";

let home: string;
let paths: FirebreakPaths;
beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
  paths = resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: home });
});
afterEach(() => rm(home, { recursive: true }));

test("an image is found by name, by digest and by the beginning of its digest", async () => {
  const digest = await addImage("one", "debian");
  for (const key of ["debian", digest, digest.slice(7, 19)]) assert.equal((await getImage(paths, key)).digest, digest);
  assert.deepEqual((await getImage(paths, digest)).tags, ["debian"]);
});

test("an unknown image is IMAGE_NOT_FOUND with a hint that names what exists", async () => {
  await assert.rejects(getImage(paths, "debian"), { code: "IMAGE_NOT_FOUND", hint: /image build debian/ });
  await addImage("one", "mine");
  await assert.rejects(getImage(paths, "debian"), { code: "IMAGE_NOT_FOUND", hint: /There are: mine\./ });
  await assert.rejects(getImage(paths, "../tags/mine"), { code: "IMAGE_NOT_FOUND" });
});

test("a tag moves to another image and the older image stays", async () => {
  const first = await addImage("one", "debian");
  const second = await addImage("two", "debian");
  assert.equal((await getImage(paths, "debian")).digest, second);
  assert.deepEqual((await getImage(paths, first)).tags, []);
  assert.equal((await listImages(paths)).length, 2);
  await assert.rejects(tagImage(paths, first, "../up"), { code: "INVALID_NAME" });
});

test("a truncated image is IMAGE_CORRUPT by the cheap check, an altered one by the deep one", async () => {
  await addImage("content", "debian");
  const image = await getImage(paths, "debian");
  await verifyImage(image, { deep: true });
  await writeFile(image.rootfsPath, "CONTENT");
  await verifyImage(image);
  await assert.rejects(verifyImage(image, { deep: true }), {
    code: "IMAGE_CORRUPT",
    hint: "firebreak image build debian --force",
  });
  await truncate(image.rootfsPath, 3);
  await assert.rejects(verifyImage(image), { code: "IMAGE_CORRUPT" });
  await rm(image.rootfsPath);
  await assert.rejects(verifyImage(image), { code: "IMAGE_CORRUPT" });
});

test("deleting an image takes its names and its folder", async () => {
  const digest = await addImage("one", "debian");
  await tagImage(paths, digest, "other");
  await deleteImage(paths, "other");
  assert.equal(await findImage(paths, "debian"), undefined);
  assert.deepEqual(await readdir(paths.images), ["tags"]);
  assert.deepEqual(await readdir(path.join(paths.images, "tags")), []);
});

test("a folder without a readable image.json is no image", async () => {
  for (const text of ["{", "{}", "null"]) {
    const folder = path.join(paths.images, "0123456789abcdef");
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "image.json"), text);
    assert.deepEqual(await listImages(paths), []);
  }
});

async function addImage(content: string, tag: string): Promise<string> {
  const hex = createHash("sha256").update(content).digest("hex");
  const folder = path.join(paths.images, hex.slice(0, 16));
  await mkdir(folder, { recursive: true });
  const rootfs = path.join(folder, "rootfs.squashfs");
  await writeFile(rootfs, content);
  const { size, mtimeMs } = await stat(rootfs);
  const manifest = {
    digest: `sha256:${hex}`,
    name: tag,
    createdAt: new Date().toISOString(),
    sizeBytes: size,
    mtimeMs,
    format: "squashfs",
    arch: "amd64",
    recipe: "debian",
    recipeDigest: "sha256:0",
    packageCount: 1,
    env: {},
  };
  await writeFile(path.join(folder, "image.json"), JSON.stringify(manifest));
  await tagImage(paths, `sha256:${hex}`, tag);
  return `sha256:${hex}`;
}
