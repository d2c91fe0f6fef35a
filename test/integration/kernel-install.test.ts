import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { ensureKernel, useKernel } from "../../src/images/kernel.ts";
import { buildKernel } from "../../src/images/kernel-build.ts";
import { getKernel, readCurrentKernelId, verifyKernel } from "../../src/images/kernel-store.ts";
import type { Progress } from "../../src/images/progress.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";

// What is done with a build's result, without the build: the archive and make are scripts that take no time.

let scratch: string;
let paths: FirebreakPaths;
const PATH = process.env.PATH;
const hash = createHash("sha256").update("package").digest("hex");
const SCRIPTS: Record<string, string> = {
  "apt-config": "exit 0",
  "apt-get": 'case "$*" in *download*) printf package > linux-source-9_9.0-1_all.deb ;; esac',
  "apt-cache": `for name; do :; done
case $name in linux-source) depends="Depends: linux-source-9 (= 9.0-1)" ;; *) depends="Section: kernel" ;; esac
printf 'Package: %s\\nVersion: 9.0-1\\nSHA256: ${hash}\\n%s\\n' "$name" "$depends"`,
  "dpkg-deb": 'mkdir -p "$3"',
  tar: 'mkdir "$2/linux-source-9" && touch "$2/linux-source-9/Makefile"',
  make: `for target; do :; done
case $target in
allnoconfig) cp firebreak.config .config ;;
vmlinux) echo "  CC      init/main.o"; mkdir -p include/config; echo 9.0-firebreak > include/config/kernel.release; cp /bin/true vmlinux ;;
esac`,
};

before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "firebreak-kernel-"));
  const bin = path.join(scratch, "bin");
  await mkdir(bin);
  for (const [name, text] of Object.entries(SCRIPTS))
    await writeFile(path.join(bin, name), `#!/bin/sh\nset -e\n${text}\n`, { mode: 0o755 });
  process.env.PATH = `${bin}:${PATH}`;
  paths = resolvePaths({
    FIREBREAK_HOME: path.join(scratch, "home"),
    FIREBREAK_RUNTIME_DIR: path.join(scratch, "run"),
  });
  createPaths(paths);
});
after(async () => {
  process.env.PATH = PATH;
  await rm(scratch, { recursive: true, force: true });
});

test("a built kernel is installed whole beside the others, and is not in use before it is chosen", async () => {
  const steps = new Set<string>();
  const onProgress = ({ step }: Progress) => steps.add(step);
  const { kernel, built } = await buildKernel(paths, { onProgress });
  assert.equal(built, true);
  assert.deepEqual(
    [...steps],
    ["kernel-index", "kernel-fetch", "kernel-unpack", "kernel-configure", "kernel-build", "done"],
  );
  assert.match(kernel.id, /^firebreak-9\.0-1-amd64-[0-9a-f]{8}$/);
  assert.ok(kernel.id.endsWith((kernel.files.vmlinux?.sha256 ?? "").slice(0, 8)));
  assert.deepEqual([kernel.kind, kernel.release, kernel.package], ["built", "9.0-firebreak", "linux-source-9"]);
  assert.deepEqual([kernel.packageSha256, kernel.bootModules, kernel.image], [hash, [], "vmlinux"]);
  await verifyKernel(kernel, { deep: true });
  assert.deepEqual(await readdir(paths.kernels), [kernel.id]);
  assert.deepEqual((await readdir(kernel.folder)).sort(), ["kernel.json", "vmlinux"]);
  assert.equal(await readCurrentKernelId(paths), undefined);
  await useKernel(paths, kernel.id);
  assert.equal((await ensureKernel(paths)).id, kernel.id);
});

test("the same configuration again is up to date; of two builds at once one builds", async () => {
  assert.equal((await buildKernel(paths)).built, false);
  await rm(paths.kernels, { recursive: true });
  const both = await Promise.all([buildKernel(paths), buildKernel(paths)]);
  assert.deepEqual(both.map(({ built }) => built).sort(), [false, true]);
  await useKernel(paths, both[0].kernel.id);
});

test("a forced build with the same result leaves the kernel alone that VMs may be booting; an altered one is replaced", async () => {
  const before = await getKernel(paths);
  assert.ok(before !== undefined);
  const { ino } = await stat(before.imagePath);
  const again = await buildKernel(paths, { force: true });
  assert.deepEqual([again.built, again.kernel.id], [true, before.id]);
  assert.equal((await stat(before.imagePath)).ino, ino);
  const content = await readFile(before.imagePath);
  await writeFile(before.imagePath, "altered");
  await assert.rejects(ensureKernel(paths), { code: "KERNEL_CORRUPT", hint: /kernel build --force/ });
  assert.equal((await buildKernel(paths, { force: true })).kernel.id, before.id);
  assert.deepEqual(await readFile(before.imagePath), content);
  assert.equal((await ensureKernel(paths)).id, before.id);
});

test("a configuration file that is none is refused before anything is fetched", async () => {
  const configPath = path.join(scratch, "bad.config");
  await writeFile(configPath, "CONFIG_NET=y\nCONFIG_NET=y\n");
  const steps: string[] = [];
  await assert.rejects(buildKernel(paths, { configPath, onProgress: ({ step }) => steps.push(step) }), {
    code: "KERNEL_BUILD_FAILED",
    message: /CONFIG_NET comes twice/,
  });
  assert.deepEqual(steps, []);
});
