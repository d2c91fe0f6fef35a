import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { type FirebreakPaths, resolvePaths } from "../platform/paths.ts";
import { ensureKernel, useKernel } from "./kernel.ts";
import {
  describeFiles,
  findKernel,
  getKernel,
  type KernelManifest,
  listKernels,
  parseManifest,
  setCurrentKernel,
} from "./kernel-store.ts";

let home: string;
let paths: FirebreakPaths;

before(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
  paths = resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: home });
});
beforeEach(() => rm(paths.kernels, { recursive: true, force: true }));
after(() => rm(home, { recursive: true }));

async function addKernel(id: string, kind: "stock" | "built", createdAt: string): Promise<void> {
  const folder = path.join(paths.kernels, id);
  const image = kind === "stock" ? "vmlinuz" : "vmlinux";
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, image), id);
  const manifest: KernelManifest = {
    ...{ id, kind, image, createdAt, arch: "x86_64", release: "6", package: "p", version: "1", source: "s" },
    ...{ packageSha256: "", kernelArgs: [], bootModules: [], optionalModules: {} },
    files: await describeFiles(folder, image),
  };
  await writeFile(path.join(folder, "kernel.json"), JSON.stringify(manifest));
}

const unreachable = { FIREBREAK_DEBIAN_MIRROR: "file:///nonexistent", FIREBREAK_DEBIAN_SECURITY_MIRROR: "none" };
const offline = { env: { ...process.env, ...unreachable } };

test("a kernel.json from before there were built kernels is a stock kernel's", () => {
  const old = { id: "debian-1", bootModules: ["virtio.ko"], optionalModules: {}, files: {}, release: "6" };
  const manifest = parseManifest(JSON.stringify(old));
  assert.deepEqual([manifest?.kind, manifest?.image, manifest?.kernelArgs], ["stock", "vmlinuz", []]);
  for (const text of ["", "{}", "[]", "null", '{"id":1,"bootModules":[],"files":{}}'])
    assert.equal(parseManifest(text), undefined, text);
});

test("kernels are listed newest first; half-made ones and other files are none", async () => {
  await addKernel("debian-1", "stock", "2026-01-01");
  await addKernel("firebreak-1", "built", "2026-01-03");
  await addKernel("debian-2", "stock", "2026-01-02");
  await addKernel(".work-1-1-00000000", "built", "2026-01-04");
  await mkdir(path.join(paths.kernels, "empty"));
  await writeFile(path.join(paths.kernels, "current"), "debian-1\n");
  assert.deepEqual(
    (await listKernels(paths)).map(({ id }) => id),
    ["firebreak-1", "debian-2", "debian-1"],
  );
});

test("'stock' is the newest of Debian's, 'current' the one in use, and a path is no id", async () => {
  await assert.rejects(findKernel(paths, "current"), { code: "KERNEL_NOT_FOUND", message: "no kernel is in use yet" });
  await addKernel("debian-1", "stock", "2026-01-01");
  await addKernel("debian-2", "stock", "2026-01-02");
  await addKernel("firebreak-1", "built", "2026-01-03");
  await setCurrentKernel(paths, "firebreak-1");
  assert.equal((await findKernel(paths, "stock")).id, "debian-2");
  assert.equal((await findKernel(paths, "current")).id, "firebreak-1");
  assert.equal((await findKernel(paths, "debian-1")).id, "debian-1");
  for (const name of ["../kernels/debian-1", "", "debian-3", ".", ".work-1"])
    await assert.rejects(findKernel(paths, name), { code: "KERNEL_NOT_FOUND" });
});

test("use chooses a whole kernel, and goes back to stock without the network", async () => {
  await addKernel("debian-1", "stock", "2026-01-01");
  await addKernel("firebreak-1", "built", "2026-01-02");
  await useKernel(paths, "firebreak-1", offline);
  assert.equal((await ensureKernel(paths, offline)).id, "firebreak-1");
  await useKernel(paths, "stock", offline);
  assert.equal((await getKernel(paths))?.id, "debian-1");
  await writeFile(path.join(paths.kernels, "firebreak-1/vmlinux"), "firebreak-2");
  await assert.rejects(useKernel(paths, "firebreak-1", offline), {
    code: "KERNEL_CORRUPT",
    hint: /kernel build --force/,
  });
  assert.equal((await getKernel(paths))?.id, "debian-1");
});

test("a corrupt built kernel is an error, a corrupt stock one is fetched again", async () => {
  await addKernel("debian-1", "stock", "2026-01-01");
  await addKernel("firebreak-1", "built", "2026-01-02");
  for (const file of ["debian-1/vmlinuz", "firebreak-1/vmlinux"]) await writeFile(path.join(paths.kernels, file), "");
  await setCurrentKernel(paths, "firebreak-1");
  await assert.rejects(ensureKernel(paths, offline), { code: "KERNEL_CORRUPT" });
  await setCurrentKernel(paths, "debian-1");
  await assert.rejects(ensureKernel(paths, offline), { code: "KERNEL_FETCH_FAILED" });
});
