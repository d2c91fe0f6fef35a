import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { KernelLibrary } from "../../src/daemon/kernel-library.ts";
import { describeFiles, setCurrentKernel } from "../../src/images/kernel-store.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";

let folder: string;
let paths: FirebreakPaths;
let users: Record<string, string[]>;
let library: KernelLibrary;
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-kernels-"));
  paths = resolvePaths({ FIREBREAK_HOME: folder, FIREBREAK_RUNTIME_DIR: path.join(folder, "run") });
  createPaths(paths);
  users = {};
  library = new KernelLibrary(paths, (id) => users[id] ?? []);
  for (const id of ["one", "two"]) await makeKernel(id);
  await setCurrentKernel(paths, "one");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function makeKernel(id: string): Promise<void> {
  const home = path.join(paths.kernels, id);
  await mkdir(path.join(home, "modules"), { recursive: true });
  await writeFile(path.join(home, "vmlinuz"), `kernel ${id}`);
  const manifest = {
    id,
    kind: "stock",
    arch: "amd64",
    release: `6.1-${id}`,
    package: "linux-image",
    version: "6.1",
    createdAt: new Date(0).toISOString(),
    image: "vmlinuz",
    kernelArgs: [],
    bootModules: [],
    optionalModules: {},
    files: await describeFiles(home, "vmlinuz"),
  };
  await writeFile(path.join(home, "kernel.json"), JSON.stringify(manifest));
}
const names = () =>
  readdirSync(paths.kernels)
    .filter((name) => name !== "current")
    .sort();

test("a kernel is shown by its id, and the one in use as 'current'", async () => {
  assert.equal((await library.get("two")).release, "6.1-two");
  assert.deepEqual([(await library.get("current")).id, (await library.get("current")).isCurrent], ["one", true]);
  await assert.rejects(library.get("three"), { code: "KERNEL_NOT_FOUND" });
});

test("a kernel that nobody needs is deleted, and nothing of it stays", async () => {
  assert.equal((await library.delete("two")).id, "two");
  assert.deepEqual(names(), ["one"]);
  await assert.rejects(library.delete("two"), { code: "KERNEL_NOT_FOUND" });
});

test("the kernel that new VMs get, and one that a VM boots with, are kept, and why is said", async () => {
  await assert.rejects(library.delete("one"), { code: "KERNEL_IN_USE", message: "new VMs get the kernel one" });
  users = { two: ["web", "db"] };
  await assert.rejects(library.delete("two"), { code: "KERNEL_IN_USE", message: "the kernel two is that of web, db" });
  assert.deepEqual(names(), ["one", "two"]);
});
