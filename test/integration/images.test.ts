import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { buildImage } from "../../src/images/build.ts";
import { DEBIAN_RECIPE } from "../../src/images/debian-recipe.ts";
import { createOverlayDrive } from "../../src/images/ext4.ts";
import { ensureKernel } from "../../src/images/kernel.ts";
import { getKernel, verifyKernel } from "../../src/images/kernel-store.ts";
import { fetchNpmPackage } from "../../src/images/npm.ts";
import type { Progress } from "../../src/images/progress.ts";
import { getImage, listImages, verifyImage } from "../../src/images/store.ts";
import { findMountBelow } from "../../src/images/work-dir.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { identifyProcess, runCommand, spawnDetached } from "../../src/platform/process.ts";
import { waitFor } from "../support/wait-for.ts";

// FIREBREAK_TEST_HOME keeps kernel and image between runs; without it each run fetches and builds them anew.

let scratch: string;
let paths: FirebreakPaths;

before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "firebreak-images-"));
  const home = process.env.FIREBREAK_TEST_HOME ?? path.join(scratch, "home");
  paths = homePaths(home);
});
after(() => rm(scratch, { recursive: true, force: true }));

function homePaths(home: string): FirebreakPaths {
  const made = resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: path.join(scratch, "run") });
  createPaths(made);
  return made;
}

describe("a Debian archive that is not what its keys signed", () => {
  let repository: string;
  let keyring: string;
  let gpgHome: string;

  before(async () => {
    gpgHome = path.join(scratch, "gpg");
    await mkdir(gpgHome, { mode: 0o700 });
    await gpg("--quick-generate-key", "--passphrase", "", "test@firebreak.invalid", "ed25519", "sign", "never");
    keyring = path.join(scratch, "test-keyring.gpg");
    await gpg("--output", keyring, "--export", "test@firebreak.invalid");
  });

  async function gpg(...args: string[]): Promise<void> {
    await runCommand("gpg", ["--homedir", gpgHome, "--batch", "--yes", "--pinentry-mode", "loopback", ...args]);
  }

  /** A repository with the two kernel packages; what they hold is no kernel, since no attack may get that far. */
  async function createRepository(): Promise<void> {
    repository = await mkdtemp(path.join(scratch, "repository-"));
    const release = path.join(repository, "dists/bookworm");
    const index = path.join(release, "main/binary-amd64");
    await mkdir(index, { recursive: true });
    let packages = "";
    for (const [name, depends] of [
      ["linux-image-cloud-amd64", "linux-image-9-test (= 9.0-1)"],
      ["linux-image-9-test", ""],
    ] as const) {
      const tree = path.join(repository, `tree-${name}`);
      await mkdir(path.join(tree, "DEBIAN"), { recursive: true });
      await mkdir(path.join(tree, "boot"));
      await writeFile(path.join(tree, "boot/vmlinuz-9-test"), "kernel");
      const control = `Package: ${name}\nVersion: 9.0-1\nArchitecture: amd64\nMaintainer: T <t@firebreak.invalid>\n${depends && `Depends: ${depends}\n`}Description: test\n`;
      await writeFile(path.join(tree, "DEBIAN/control"), control);
      const file = `${name}_9.0-1_amd64.deb`;
      await runCommand("dpkg-deb", ["--root-owner-group", "-b", tree, path.join(repository, file)]);
      const { size } = await stat(path.join(repository, file));
      packages += `${control}Filename: ${file}\nSize: ${size}\nSHA256: ${await sha256(path.join(repository, file))}\n\n`;
    }
    await writeFile(path.join(index, "Packages"), packages);
    await writeFile(path.join(release, "Release"), await describeRelease(path.join(index, "Packages")));
  }

  async function describeRelease(packages: string): Promise<string> {
    const { size } = await stat(packages);
    const date = new Date().toUTCString().replace("GMT", "+0000");
    return `Suite: bookworm\nCodename: bookworm\nArchitectures: amd64\nComponents: main\nDate: ${date}\nSHA256:\n ${await sha256(packages)} ${size} main/binary-amd64/Packages\n`;
  }

  async function sha256(file: string): Promise<string> {
    return (await runCommand("sha256sum", [file])).stdout.split(" ")[0] as string;
  }

  async function sign(): Promise<void> {
    const release = path.join(repository, "dists/bookworm");
    await gpg("--clearsign", "--output", path.join(release, "InRelease"), path.join(release, "Release"));
  }

  async function fetchKernel(home: string, trusted?: string) {
    const env = {
      ...process.env,
      FIREBREAK_DEBIAN_MIRROR: `file://${repository}`,
      FIREBREAK_DEBIAN_SECURITY_MIRROR: "none",
    };
    return ensureKernel(homePaths(home), { env, ...(trusted !== undefined && { keyring: trusted }) });
  }

  /** Nothing of what was refused may stay where a later run would find it. */
  async function assertRefused(attempt: Promise<unknown>, home: string, reason: RegExp): Promise<void> {
    await assert.rejects(attempt, (error: FirebreakError) => {
      assert.equal(error.code, "KERNEL_FETCH_FAILED");
      assert.match(error.message, reason);
      return true;
    });
    assert.deepEqual(await readdir(path.join(home, "kernels")), []);
  }

  test("an unsigned release is refused", async () => {
    await createRepository();
    const home = path.join(scratch, "unsigned");
    await assertRefused(fetchKernel(home, keyring), home, /not signed|no Release file|NO_PUBKEY/i);
  });

  test("a release signed by another key than Debian's is refused", async () => {
    await createRepository();
    await sign();
    const home = path.join(scratch, "wrong-key");
    await assertRefused(fetchKernel(home), home, /NO_PUBKEY|not signed|couldn't be verified/i);
  });

  test("a release altered after it was signed is refused", async () => {
    await createRepository();
    await sign();
    const signed = path.join(repository, "dists/bookworm/InRelease");
    await writeFile(signed, (await readFile(signed, "utf8")).replace("Suite: bookworm", "Suite: bookwarm"));
    const home = path.join(scratch, "altered-release");
    await assertRefused(fetchKernel(home, keyring), home, /BADSIG|not signed|invalid/i);
  });

  test("an index that the signed release does not name is refused", async () => {
    await createRepository();
    await sign();
    await appendFile(path.join(repository, "dists/bookworm/main/binary-amd64/Packages"), "\n");
    const home = path.join(scratch, "index");
    await assertRefused(fetchKernel(home, keyring), home, /Hash Sum mismatch|unexpected size|File has/i);
  });

  test("a package altered after the index was signed is refused", async () => {
    await createRepository();
    await sign();
    const deb = path.join(repository, "linux-image-9-test_9.0-1_amd64.deb");
    const { size } = await stat(deb);
    await truncate(deb, size - 1);
    await appendFile(deb, "x");
    const home = path.join(scratch, "package");
    await assertRefused(fetchKernel(home, keyring), home, /Hash Sum mismatch|signed index|Hashes of/i);
  });

  test("the same repository, whole and signed by the trusted key, gets as far as its content", async () => {
    await createRepository();
    await sign();
    const home = path.join(scratch, "whole");
    // It has no modules: the refusal now is about what is in the package, so the checks before did pass.
    await assertRefused(fetchKernel(home, keyring), home, /ENOENT|lacks the modules|has no/i);
  });
});

test("an npm archive that is not the pinned one is refused and removed", async () => {
  const folder = path.join(scratch, "npm");
  await mkdir(folder);
  const other = { ...DEBIAN_RECIPE.npm, integrity: DEBIAN_RECIPE.node.integrity };
  await assert.rejects(fetchNpmPackage(other, folder, { env: process.env }), { code: "IMAGE_BUILD_FAILED" });
  assert.deepEqual(await readdir(folder), []);
});

test("a failed build changes nothing and leaves nothing", async () => {
  const home = path.join(scratch, "failed-build");
  const broken = homePaths(home);
  const recipe = { ...DEBIAN_RECIPE, npm: { ...DEBIAN_RECIPE.npm, integrity: DEBIAN_RECIPE.node.integrity } };
  await assert.rejects(buildImage(broken, "debian", { recipe }), { code: "IMAGE_BUILD_FAILED" });
  assert.deepEqual(await listImages(broken), []);
  assert.deepEqual(await readdir(broken.images), [".locks"]);
  assert.deepEqual(await readdir(path.join(broken.images, ".locks")), []);
});

test("Debian's kernel is fetched, whole, and used again without the network", async () => {
  const kernel = await ensureKernel(paths);
  await verifyKernel(kernel, { deep: true });
  assert.ok(kernel.bootModules.indexOf("virtio_ring.ko") < kernel.bootModules.indexOf("virtio.ko"));
  const env = { ...process.env, FIREBREAK_DEBIAN_MIRROR: "http://unreachable.invalid/debian" };
  assert.equal((await ensureKernel(paths, { env })).id, kernel.id);
  assert.equal((await getKernel(paths))?.id, kernel.id);
});

test("the debian image: built, up to date at once, refused when truncated, built by one of two", async () => {
  const steps = new Set<string>();
  const fractions: number[] = [];
  const onProgress = (progress: Progress) => {
    steps.add(progress.step);
    if (progress.step === "packages" && progress.fraction !== undefined) fractions.push(progress.fraction);
  };
  const first = await buildImage(paths, "debian", { onProgress });
  await verifyImage(first.image, { deep: true });
  assert.ok(steps.has("done"));
  if (first.built) {
    assert.deepEqual([...steps], ["node", "packages", "pack", "store", "done"]);
    assert.ok(fractions.length > 100 && fractions.every((value, index) => value >= (fractions[index - 1] ?? 0)));
  }

  const content = ["workspace", "usr/sbin/policy-rc.d", "usr/local/bin/npx", "etc/machine-id"];
  const listing = (await runCommand("unsquashfs", ["-lls", first.image.rootfsPath, ...content])).stdout;
  assert.match(listing, /^drwxr-xr-x root\/root .* squashfs-root$/m);
  assert.match(listing, /^-rwxr-xr-x root\/root .* squashfs-root\/usr\/sbin\/policy-rc\.d$/m);
  for (const name of content) assert.ok(listing.includes(`squashfs-root/${name}`), name);

  const keys = await runCommand("unsquashfs", ["-lls", first.image.rootfsPath, "etc/ssh"]);
  assert.match(keys.stdout, /squashfs-root\/etc\/ssh\/sshd_config$/m);
  assert.doesNotMatch(keys.stdout, /ssh_host_/);

  const again = await buildImage(paths, "debian");
  assert.equal(again.built, false);

  // A copied folder has other times; its content is what counts.
  await utimes(first.image.rootfsPath, new Date(), new Date());
  assert.equal((await buildImage(paths, "debian")).built, false);

  await truncate(first.image.rootfsPath, first.image.sizeBytes - 4096);
  const image = await getImage(paths, "debian");
  await assert.rejects(verifyImage(image), { code: "IMAGE_CORRUPT", hint: "firebreak image build debian --force" });

  const told: string[] = [];
  const both = await Promise.all([
    buildImage(paths, "debian", { onProgress: ({ step }) => told.push(step) }),
    buildImage(paths, "debian", { onProgress: ({ step }) => told.push(step) }),
  ]);
  assert.deepEqual(both.map((result) => result.built).sort(), [false, true]);
  assert.equal(both[0].image.digest, both[1].image.digest);
  assert.ok(told.includes("wait"));
  await verifyImage(both[0].image, { deep: true });
});

test("a build that is killed leaves a work folder that the next run removes, and no image", async () => {
  const home = path.join(scratch, "killed");
  const killed = homePaths(home);
  const script = path.join(scratch, "build.ts");
  const sources = path.join(import.meta.dirname, "../../src");
  await writeFile(
    script,
    `import { buildImage } from ${JSON.stringify(`${sources}/images/build.ts`)};
import { resolvePaths } from ${JSON.stringify(`${sources}/platform/paths.ts`)};
await buildImage(resolvePaths(), "debian");\n`,
  );
  const { identity, exited } = await spawnDetached(process.execPath, [script], {
    fds: ["ignore", "ignore", "ignore"],
    env: { ...process.env, FIREBREAK_HOME: home },
  });
  // Late enough for mmdebstrap to have mounted the host's /proc and /sys inside its tree.
  const findTree = async () => {
    const work = (await readdir(killed.images)).find((name) => name.startsWith(".work-")) ?? "";
    const tmp = path.join(killed.images, work, "tmp");
    const tree = (await readdir(tmp).catch(() => [])).find((name) => /^mmdebstrap\.[^.]+$/.test(name));
    return tree === undefined ? undefined : path.join(tmp, tree);
  };
  await waitFor(async () => {
    const tree = await findTree();
    return (
      tree !== undefined &&
      (await stat(path.join(tree, "var/lib/dpkg/info/bash.list")).catch(() => undefined)) !== undefined
    );
  });
  process.kill(identity.pid, "SIGKILL");
  await exited;
  assert.equal(await identifyProcess(identity.pid), undefined);
  assert.notEqual(await findTree(), undefined);
  assert.equal(findMountBelow(await readFile("/proc/self/mountinfo", "utf8"), killed.images), undefined);
  const recipe = { ...DEBIAN_RECIPE, npm: { ...DEBIAN_RECIPE.npm, integrity: "" } };
  await assert.rejects(buildImage(killed, "debian", { recipe }), { code: "IMAGE_BUILD_FAILED" });
  assert.deepEqual(await readdir(killed.images), [".locks"]);
});

test("a build is cancelled by its signal and leaves nothing", async () => {
  const canceled = homePaths(path.join(scratch, "canceled"));
  const abort = new AbortController();
  const onProgress = ({ step }: Progress) => {
    if (step === "packages") setTimeout(() => abort.abort(), 1500);
  };
  await assert.rejects(buildImage(canceled, "debian", { signal: abort.signal, onProgress }), {
    code: "OPERATION_CANCELED",
  });
  assert.deepEqual(await readdir(canceled.images), [".locks"]);
});

test("an overlay drive is a sparse ext4 that fsck finds clean, and never overwrites another", async () => {
  const file = path.join(scratch, "overlay.ext4");
  await createOverlayDrive(file, 2048);
  const { size, blocks } = await stat(file);
  assert.equal(size, 2048 * 2 ** 20);
  assert.ok(blocks * 512 < 8 * 2 ** 20);
  await runCommand("e2fsck", ["-fn", file]);
  await assert.rejects(createOverlayDrive(file, 2048), { code: "INVALID_ARGUMENT" });
  for (const sizeMib of [0, 63, 64.5, -1, Number.NaN, 2 ** 40]) {
    await assert.rejects(createOverlayDrive(path.join(scratch, "x"), sizeMib), { code: "INVALID_ARGUMENT" });
  }
  assert.ok(!(await readdir(scratch)).some((name) => name.startsWith("x") || name.endsWith(".new")));
});
