import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type FirebreakPaths, resolvePaths } from "../platform/paths.ts";
import { ensureInitrd } from "./initrd.ts";
import type { Kernel } from "./kernel-store.ts";

let home: string;
let paths: FirebreakPaths;
let kernel: Kernel;
let agent: string;

before(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
  paths = resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: home });
  const folder = path.join(paths.kernels, "k1");
  const modulesFolder = path.join(folder, "modules");
  await mkdir(modulesFolder, { recursive: true });
  const files: Kernel["files"] = {};
  for (const name of ["virtio.ko", "overlay.ko", "erofs.ko"]) {
    await writeFile(path.join(modulesFolder, name), name);
    files[`modules/${name}`] = { sha256: createHash("sha256").update(name).digest("hex"), sizeBytes: name.length };
  }
  kernel = {
    ...{
      id: "k1",
      kind: "stock",
      arch: "x86_64",
      release: "6",
      package: "p",
      version: "1",
      source: "s",
      packageSha256: "",
      createdAt: "",
      image: "vmlinuz",
      kernelArgs: [],
    },
    ...{ folder, modulesFolder, imagePath: path.join(folder, "vmlinuz"), files },
    bootModules: ["virtio.ko", "overlay.ko"],
    optionalModules: { erofs: ["virtio.ko", "erofs.ko"] },
  };
  agent = path.join(home, "agent");
  await writeFile(agent, "\x7fELF agent");
});
after(() => rm(home, { recursive: true }));

test("the initrd is named by its content and the same each time", async () => {
  const first = await ensureInitrd(paths, kernel, agent);
  const second = await ensureInitrd(paths, kernel, agent);
  assert.deepEqual(first, second);
  const content = await readFile(first.path);
  const hex = createHash("sha256").update(content).digest("hex");
  assert.equal(path.basename(first.path), `initrd-${hex.slice(0, 12)}.cpio`);
  assert.ok(content.includes("virtio.ko\noverlay.ko\n"));
  assert.ok(!content.includes("erofs.ko"));
});

test("another agent or more modules make another initrd; no module comes twice", async () => {
  const plain = await ensureInitrd(paths, kernel, agent);
  const more = await ensureInitrd(paths, kernel, agent, { modules: ["erofs"] });
  assert.deepEqual(more.modules, ["virtio.ko", "overlay.ko", "erofs.ko"]);
  assert.notEqual(more.path, plain.path);
  await assert.rejects(ensureInitrd(paths, kernel, agent, { modules: ["nope"] }), { code: "INVALID_ARGUMENT" });
});

test("a kernel with all built in has an initrd without a list of modules", async () => {
  const plain = await ensureInitrd(paths, { ...kernel, bootModules: [] }, agent);
  assert.deepEqual(plain.modules, []);
  const content = await readFile(plain.path);
  assert.ok(!content.includes("modules"));
  assert.ok(content.includes("init\0"));
});

test("a file cut short by a crash is written again", async () => {
  const { path: file, sizeBytes } = await ensureInitrd(paths, kernel, agent);
  await writeFile(file, "half");
  await ensureInitrd(paths, kernel, agent);
  assert.equal((await readFile(file)).length, sizeBytes);
});

test("no agent, or a file that is no program, is AGENT_NOT_BUILT", async () => {
  const empty = path.join(home, "empty");
  await writeFile(empty, "");
  for (const file of [path.join(home, "absent"), home, empty]) {
    await assert.rejects(ensureInitrd(paths, kernel, file), { code: "AGENT_NOT_BUILT", hint: "run 'make setup'" });
  }
});

test("an altered module is KERNEL_CORRUPT, not part of an initrd", async () => {
  const altered = structuredClone(kernel);
  altered.files["modules/virtio.ko"] = { sha256: "0", sizeBytes: 1 };
  await assert.rejects(ensureInitrd(paths, altered, agent), { code: "KERNEL_CORRUPT" });
});

test("what mounts need is in the initrd, to be inserted with the first of them", async () => {
  const name = "fuse.ko";
  await writeFile(path.join(kernel.modulesFolder, name), name);
  const sha256 = createHash("sha256").update(name).digest("hex");
  const files = { ...kernel.files, [`modules/${name}`]: { sha256, sizeBytes: name.length } };
  const initrd = await ensureInitrd(paths, { ...kernel, files, optionalModules: { fuse: [name] } }, agent);
  assert.deepEqual([initrd.modules.includes(name), initrd.mountModules], [false, [name]]);
  assert.ok((await readFile(initrd.path)).includes("mounts.list"));
});

test("what a balloon needs is in the initrd, and not among what every machine inserts", async () => {
  const name = "virtio_balloon.ko";
  await writeFile(path.join(kernel.modulesFolder, name), name);
  const sha256 = createHash("sha256").update(name).digest("hex");
  const files = { ...kernel.files, [`modules/${name}`]: { sha256, sizeBytes: name.length } };
  const initrd = await ensureInitrd(paths, { ...kernel, files, optionalModules: { virtio_balloon: [name] } }, agent);
  assert.deepEqual([initrd.modules.includes(name), initrd.balloonModules], [false, [name]]);
  assert.ok((await readFile(initrd.path)).includes("balloon.list"));
});

test("what vsock needs is in the initrd, and not among what every machine inserts", async () => {
  const names = ["vsock.ko", "vmw_vsock_virtio_transport.ko"];
  const files = { ...kernel.files };
  for (const name of names) {
    await writeFile(path.join(kernel.modulesFolder, name), name);
    files[`modules/${name}`] = { sha256: createHash("sha256").update(name).digest("hex"), sizeBytes: name.length };
  }
  const optionalModules = { vmw_vsock_virtio_transport: ["virtio.ko", ...names] };
  const initrd = await ensureInitrd(paths, { ...kernel, files, optionalModules }, agent);
  assert.deepEqual(initrd.modules, ["virtio.ko", "overlay.ko"]);
  assert.deepEqual(initrd.vsockModules, names);
  const content = await readFile(initrd.path);
  assert.ok(content.includes("vsock.list") && content.includes(`${names.join("\n")}\n`));
});

test("what drives need that come later is in the initrd, and not among what is inserted at boot", async () => {
  const names = ["scsi_mod.ko", "virtio_scsi.ko", "sd_mod.ko"];
  const files = { ...kernel.files };
  for (const name of names) {
    await writeFile(path.join(kernel.modulesFolder, name), name);
    files[`modules/${name}`] = { sha256: createHash("sha256").update(name).digest("hex"), sizeBytes: name.length };
  }
  const optionalModules = {
    virtio_scsi: ["virtio.ko", "scsi_mod.ko", "virtio_scsi.ko"],
    sd_mod: ["scsi_mod.ko", "sd_mod.ko"],
  };
  const initrd = await ensureInitrd(paths, { ...kernel, files, optionalModules }, agent);
  assert.deepEqual(initrd.modules, ["virtio.ko", "overlay.ko"]);
  assert.deepEqual(initrd.driveModules, names);
  const content = await readFile(initrd.path);
  assert.ok(content.includes("virtio.ko\noverlay.ko\n") && content.includes(`${names.join("\n")}\n`));
});
