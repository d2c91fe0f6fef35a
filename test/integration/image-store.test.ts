import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { ImageService, type ImageUse } from "../../src/daemon/image-service.ts";
import { FirebreakError, toFirebreakError } from "../../src/errors/firebreak-error.ts";
import { receiveArchive } from "../../src/images/import.ts";
import { findImage, getImage, type Image, listImages, readTags, verifyImage } from "../../src/images/store.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { runCommand, spawnDetached } from "../../src/platform/process.ts";
import { makeTar } from "../support/tar-archive.ts";
import { waitFor } from "../support/wait-for.ts";

let scratch: string;
before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "fb-store-"));
});
after(() => rm(scratch, { recursive: true, force: true }));

async function newHome(): Promise<FirebreakPaths> {
  const home = await mkdtemp(path.join(scratch, "home-"));
  const paths = resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: path.join(scratch, "run") });
  createPaths(paths);
  return paths;
}

function importText(paths: FirebreakPaths, name: string, text: string): Promise<Image> {
  const body = Readable.from([makeTar([{ path: "text", content: text }])]);
  return receiveArchive(paths, { name, format: "rootfs" }, body, async ({ finish }) => (await finish({})).image);
}

function serviceOf(paths: FirebreakPaths, uses: () => ImageUse[] = () => []) {
  const deleted: string[] = [];
  const service = new ImageService({
    paths,
    uses: async () => uses(),
    deleteTemplate: async (id) => void deleted.push(id),
    builder: { build: () => assert.fail("nothing is built") },
    fetchKernel: async () => {},
  });
  return { service, deleted };
}

const useOf = (kind: ImageUse["kind"], image: Image, name: string): ImageUse => ({
  ...{ kind, id: name, name, imageDigest: image.digest, sizeBytes: 1000 },
});

/** The store is as whole as if nothing had been under way. */
async function assertWhole(paths: FirebreakPaths): Promise<void> {
  for (const image of await listImages(paths)) await verifyImage(image, { deep: true });
  for (const name of (await readTags(paths)).keys()) await findImage(paths, name);
}

/** Runs a program that imports, and kills it where `at` says: it stands still there until then. */
async function killAt(paths: FirebreakPaths, at: string, text: string): Promise<void> {
  const gate = path.join(paths.home, `gate-${at}`);
  const script = path.join(paths.home, "import.ts");
  const sources = path.join(import.meta.dirname, "../..");
  await writeFile(
    script,
    `import { receiveArchive } from ${JSON.stringify(`${sources}/src/images/import.ts`)};
import { resolvePaths } from ${JSON.stringify(`${sources}/src/platform/paths.ts`)};
import { makeTar } from ${JSON.stringify(`${sources}/test/support/tar-archive.ts`)};
import { writeFileSync } from "node:fs";
import { Readable } from "node:stream";
const stop = () => {
  writeFileSync(${JSON.stringify(gate)}, "");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
const body = async function* () {
  yield makeTar([{ path: "text", content: ${JSON.stringify(text)} }]);
  if (${JSON.stringify(at)} === "receive") stop();
};
await receiveArchive(resolvePaths(), { name: "app", format: "rootfs" }, body(), ({ finish }) =>
  finish({ onProgress: ({ step }) => step === ${JSON.stringify(at)} && stop() }));
`,
  );
  const { identity, exited } = await spawnDetached(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", script],
    {
      fds: ["ignore", "ignore", "ignore"],
      env: { ...process.env, FIREBREAK_HOME: paths.home, FIREBREAK_RUNTIME_DIR: path.join(scratch, "run") },
    },
  );
  await waitFor(() => existsSync(gate));
  process.kill(identity.pid, "SIGKILL");
  await exited;
}

test("an import that is killed at any of its steps leaves the image that was there, and the next one cleans up", async () => {
  const paths = await newHome();
  const old = await importText(paths, "app", "old");
  for (const at of ["receive", "unpack", "pack", "store"]) {
    await killAt(paths, at, "new");
    assert.equal((await getImage(paths, "app")).digest, old.digest, at);
    assert.ok(
      (await readdir(paths.images)).some((name) => name.startsWith(".work-")),
      at,
    );
    await assertWhole(paths);
  }
  const next = await importText(paths, "app", "newer");
  assert.equal((await getImage(paths, "app")).digest, next.digest);
  assert.deepEqual(
    (await readdir(paths.images)).filter((name) => name.startsWith(".work-")),
    [],
  );
});

test("a full disk is HOST_DISK_FULL at whatever step it is met, and the image that was there stays", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root may mount a small file system");
  const paths = await newHome();
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", paths.images]);
  try {
    const old = await importText(paths, "app", "old");
    // Random, so that it does not become small: the archive itself, then the archive and what is packed of it, do not fit.
    const random = (bytes: number) =>
      Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)))
        .toString("latin1")
        .repeat(bytes / 65_536);
    for (const bytes of [8 * 2 ** 20, 2 * 2 ** 20]) {
      const chunks = Array.from({ length: bytes / 65_536 }, (_, index) => ({
        path: `f${index}`,
        content: Buffer.from(random(65_536), "latin1"),
      }));
      const body = Readable.from([makeTar(chunks)]);
      const failed = receiveArchive(paths, { name: "app", format: "rootfs" }, body, ({ finish }) => finish({}));
      await assert.rejects(failed, (error: unknown) => toFirebreakError(error).code === "HOST_DISK_FULL");
      assert.equal((await getImage(paths, "app")).digest, old.digest);
      assert.deepEqual(
        (await readdir(paths.images)).filter((name) => name.startsWith(".work-")),
        [],
      );
    }
    await assertWhole(paths);
  } finally {
    await runCommand("umount", [paths.images]);
  }
});

test("naming, deleting and pruning at once leaves every name at a whole image, or gone", async () => {
  const paths = await newHome();
  const { service } = serviceOf(paths);
  for (let round = 0; round < 5; round++) {
    const images = await Promise.all(["a", "b", "c"].map((name) => importText(paths, name, `${name}${round}`)));
    const [a, b, c] = images as [Image, Image, Image];
    const outcomes = await Promise.allSettled([
      service.tag(a.digest, "shared"),
      service.tag(b.digest, "shared"),
      service.delete(a.digest, false),
      service.untag("b"),
      service.prune({}),
      service.delete(c.digest, false),
      service.delete(c.digest, false),
      service.tag(c.digest, "late"),
    ]);
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        assert.ok(
          outcome.reason instanceof FirebreakError && outcome.reason.code === "IMAGE_NOT_FOUND",
          String(outcome.reason),
        );
    await assertWhole(paths);
    const left = new Set((await listImages(paths)).map(({ digest }) => digest));
    for (const [name, digest] of await readTags(paths)) assert.ok(left.has(digest), name);
    await service.prune({ all: true });
    assert.deepEqual(await listImages(paths), []);
  }
});

test("an image that comes into use while it is deleted stays, with its names", async () => {
  const paths = await newHome();
  const image = await importText(paths, "app", "text");
  let asked = 0;
  // Nobody when it is looked at first; a VM when it is out of reach.
  const { service } = serviceOf(paths, () => (++asked > 1 ? [useOf("vm", image, "late")] : []));
  await assert.rejects(service.delete("app", true), { code: "IMAGE_IN_USE", message: /vm late/ });
  assert.deepEqual((await getImage(paths, image.digest)).tags, ["app"]);
  await assertWhole(paths);
});

test("prune keeps what VMs and snapshots need, takes templates along, and counts what is freed", async () => {
  const paths = await newHome();
  const [vm, snapshot, template] = (await Promise.all(
    ["vm", "snapshot", "template"].map((kind) => importText(paths, kind, kind)),
  )) as [Image, Image, Image];
  const uses = [useOf("vm", vm, "web"), useOf("snapshot", snapshot, "ready"), useOf("template", template, "abc")];
  const { service, deleted } = serviceOf(paths, () => uses);
  const dry = await service.prune({ all: true, dryRun: true });
  assert.deepEqual(
    dry.images.map(({ digest, templates }) => [digest, templates]),
    [[template.digest, ["abc"]]],
  );
  assert.equal(dry.freedBytes, template.sizeBytes + 1000);
  assert.deepEqual(deleted, []);
  assert.deepEqual({ ...(await service.prune({ all: true })), isDryRun: true }, dry);
  assert.deepEqual(deleted, ["abc"]);
  assert.deepEqual((await service.list()).flatMap(({ tags }) => tags).sort(), ["snapshot", "vm"]);
});

test("what a deletion that was killed has left is no image, and goes", async () => {
  const paths = await newHome();
  const image = await importText(paths, "app", "text");
  // As deleteImage leaves it when it is killed after its first rename.
  await runCommand("mv", [image.folder, path.join(paths.images, ".work-0-0-00000000")]);
  await assert.rejects(getImage(paths, "app"), { code: "IMAGE_NOT_FOUND" });
  assert.deepEqual(await listImages(paths), []);
  const { service } = serviceOf(paths);
  await service.prune({});
  assert.deepEqual([...(await readTags(paths)).keys()], []);
  await mkdir(path.join(paths.images, ".work-0-0-11111111"));
  await importText(paths, "other", "x");
  assert.deepEqual(
    (await readdir(paths.images)).filter((name) => name.startsWith(".work-")),
    [],
  );
});
