import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { copyFile, link, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { ImageInfo, ImagePruned, ImageResult } from "../../src/contract/image.ts";
import { buildImage } from "../../src/images/build.ts";
import { withLock } from "../../src/images/lock.ts";
import { resolvePaths } from "../../src/platform/paths.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { openMcpClient } from "../support/mcp-client.ts";
import { writeLayout } from "../support/oci-layout.ts";
import { makeTar } from "../support/tar-archive.ts";
import { waitFor } from "../support/wait-for.ts";

/** Statically linked (package busybox-static): all that an image needs. */
const BUSYBOX = readFileSync("/bin/busybox");

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture({ hasOwnImages: true });
});
after(() => fixture?.close());

async function cli<T>(...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await fixture.cli([...args, "--json"]);
  assert.equal(exitCode, 0, stderr);
  return JSON.parse(stdout) as T;
}

async function refused(code: string, ...args: string[]) {
  const { exitCode, stderr } = await fixture.cli([...args, "--json"]);
  assert.notEqual(exitCode, 0);
  const { error } = JSON.parse(stderr) as {
    error: { code: string; message: string; hint?: string; details?: { usedBy: { name: string }[] } };
  };
  assert.equal(error.code, code, error.message);
  return error;
}

/** One static binary and nothing else: no /bin/sh, no /etc, no users. */
const scratchTar = (extra = "") =>
  makeTar([
    { path: "busybox", mode: 0o755, content: BUSYBOX },
    { path: "note", content: extra },
  ]);

test("an image that is being built or fetched is told of, and is none yet", async () => {
  const lock = path.join(fixture.paths.images, ".locks", "slow.lock");
  const { stdout, stderr } = await withLock(lock, {}, () => fixture.ok("image", "list"));
  assert.deepEqual([stdout, stderr], ["", "slow is being made, and is listed once it is there.\n"]);
  const { stdout: after } = await fixture.ok("image", "list");
  assert.match(after, /^No images\. /);
});

test("an image of one static binary runs, as its own command or as another, without shell, users or /etc", async () => {
  const layout = path.join(fixture.folder, "scratch");
  const config = {
    Entrypoint: ["/busybox", "sh", "-c"],
    Cmd: ["echo $GREETING from $PWD as $(/busybox id -u):$(/busybox id -g)"],
    Env: ["GREETING=hello", "PATH=/nowhere"],
    WorkingDir: "/srv/work",
    User: "1234:77",
  };
  await writeLayout(layout, [{ layers: [scratchTar(), makeTar([{ path: "srv/work/" }])], config }]);
  const { image } = await cli<ImageResult>("image", "pull", `oci:${layout}`, "--name", "scratch");
  assert.deepEqual(image.config, {
    entrypoint: config.Entrypoint,
    cmd: config.Cmd,
    workingDir: "/srv/work",
    user: "1234:77",
  });
  const own = await fixture.cli(["run", "--image", "scratch"]);
  assert.deepEqual([own.exitCode, own.stdout], [0, "hello from /srv/work as 1234:77\n"], own.stderr);
  const other = await fixture.cli([
    "run",
    "--image",
    "scratch",
    "-e",
    "GREETING=bye",
    "-u",
    "root",
    "-w",
    "/",
    "--",
    "/busybox",
    "sh",
    "-c",
    "echo $GREETING $PWD $PATH; /busybox ls /",
  ]);
  assert.equal(other.stdout, "bye / /nowhere\nbusybox\ndev\netc\nnote\nproc\nroot\nrun\nsrv\nsys\ntmp\n", other.stderr);
  // What is missing is named.
  const missing = await fixture.cli(["run", "--image", "scratch", "--", "/bin/sh"]);
  assert.equal(missing.exitCode, 127);
  assert.match(missing.stderr, /\/bin\/sh: not found in the guest/);
  const noUser = await fixture.cli(["run", "--image", "scratch", "-u", "ann", "--", "/busybox", "true"]);
  assert.match(noUser.stderr, /USER_NOT_FOUND/);
});

test("an image without a command of its own wants one, before a VM is made", async () => {
  await writeFile(path.join(fixture.folder, "plain.tar"), scratchTar("plain"));
  await cli("image", "import", path.join(fixture.folder, "plain.tar"), "--name", "plain");
  const { exitCode, stderr } = await fixture.cli(["run", "--image", "plain"]);
  assert.equal(exitCode, 125);
  assert.match(stderr, /has no command of its own/);
  assert.deepEqual(await fixture.client.vms.list(), []);
});

test("a directory becomes an image with its links, owners and modes, and boots", async () => {
  const root = path.join(fixture.folder, "rootfs");
  for (const name of ["bin", "etc", "home/ann"]) await mkdir(path.join(root, name), { recursive: true });
  await copyFile("/bin/busybox", path.join(root, "bin/busybox"));
  await link(path.join(root, "bin/busybox"), path.join(root, "bin/sh"));
  for (const name of ["id", "cat", "stat", "ls"]) await symlink("busybox", path.join(root, "bin", name));
  await writeFile(path.join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n");
  await writeFile(path.join(root, "etc/group"), "root:x:0:\nusers:x:100:\nstaff:x:50:\n");
  await writeFile(path.join(root, "home/ann/secret"), "mine\n", { mode: 0o600 });
  execFileSync("chown", ["-R", "1000:100", path.join(root, "home/ann")]);
  const { image } = await cli<ImageResult>("image", "import", root, "--name", "box:1");
  assert.equal(image.recipe, "import");
  const script = "id; cat ~/secret; stat -c %a:%u:%g ~/secret";
  const ran = await fixture.cli(["run", "--image", "box:1", "--user", "ann:staff", "--", "sh", "-c", script]);
  assert.equal(ran.stdout, "uid=1000(ann) gid=50(staff) groups=50(staff)\nmine\n600:1000:100\n", ran.stderr);
});

test("what a VM has made becomes an image, of a directory or of a tar", async () => {
  const vm = "maker";
  await cli("vm", "create", vm, "--image", "box:1");
  const connection = await openMcpClient(fixture);
  try {
    const command =
      "b=/bin/busybox; $b mkdir -p /srv/r/bin && $b cp $b /srv/r/bin/ && $b ln -s busybox /srv/r/bin/echo && $b tar -C /srv/r -cf /srv/r.tar .";
    assert.equal((await connection.call("run_command", { vm, command })).data.exit_code, 0);
    for (const [path, name] of [
      ["/srv/r", "of-dir"],
      ["/srv/r.tar", "of-tar"],
    ] as const) {
      const made = await connection.call("image_import", { vm, path, name });
      assert.deepEqual([(made.data.names as string[]).includes(name), made.data.made_by], [true, "import"], made.text);
      assert.match(made.text, new RegExp(`^\\[vm maker · image ${name} · imported\\]`));
      const ran = await fixture.cli(["run", "--image", name, "--", "/bin/echo", "hello"]);
      assert.equal(ran.stdout, "hello\n", ran.stderr);
    }
    const bad = await connection.call("image_import", { vm, path: "/bin/busybox", name: "bad" });
    assert.equal(bad.data.code, "ARCHIVE_INVALID", bad.text);
  } finally {
    await connection.close();
    await cli("vm", "delete", vm);
  }
});

test("a whole Debian from a directory runs its programs as it did before", async () => {
  // The default image, as the other tests have it, taken apart.
  const home = path.resolve(process.env.FIREBREAK_TEST_HOME || path.join(os.homedir(), ".cache", "firebreak-test"));
  const { image } = await buildImage(resolvePaths({ FIREBREAK_HOME: home }), "debian");
  const root = path.join(fixture.folder, "debian");
  execFileSync("unsquashfs", ["-quiet", "-no-progress", "-dest", root, image.rootfsPath]);
  await cli("image", "import", root, "--name", "mine");
  const script =
    "python3 -c 'import ssl, json; print(6 * 7)'; node -p 1+1; stat -c %a:%U /tmp /usr/bin/passwd; apt-get --version | head -c 3";
  const ran = await fixture.cli(["run", "--image", "mine", "--", "bash", "-c", script]);
  assert.equal(ran.stdout, "42\n2\n1777:root\n4755:root\napt", ran.stderr);
});

test("the same tar, however it is compressed or sent, gives the same image", async () => {
  const tar = scratchTar("compressed");
  const xz = execFileSync("xz", ["-c"], { input: tar, maxBuffer: 2 ** 28 });
  const digests: string[] = [];
  for (const [name, bytes] of Object.entries({ plain: tar, gz: gzipSync(tar), zst: zstdCompressSync(tar), xz })) {
    const { exitCode, stdout, stderr } = await fixture.cli(["image", "import", "-", "--name", `c-${name}`, "--json"], {
      input: bytes,
    });
    assert.equal(exitCode, 0, stderr);
    digests.push((JSON.parse(stdout) as ImageResult).image.digest);
  }
  assert.equal(new Set(digests).size, 1);
  const image = await cli<ImageInfo>("image", "get", "c-xz");
  assert.deepEqual(image.tags, ["c-gz", "c-plain", "c-xz", "c-zst"]);
});

test("archives of OCI and of docker save are pulled from files of the caller's", async () => {
  const layout = path.join(fixture.folder, "archive");
  await writeLayout(layout, [
    { layers: [scratchTar("one")], name: "one", config: { Cmd: ["/busybox", "echo", "one"] } },
    { layers: [scratchTar("two")], name: "two", config: { Cmd: ["/busybox", "echo", "two"] } },
  ]);
  const oci = path.join(fixture.folder, "images.oci.tar");
  execFileSync("tar", ["-cf", oci, "-C", layout, "."]);
  const several = await refused("INVALID_ARGUMENT", "image", "pull", `oci-archive:${oci}`, "--name", "x");
  assert.match(several.hint ?? "", /one, two/);
  await refused("IMAGE_NOT_FOUND", "image", "pull", `oci-archive:${oci}:three`);
  await cli("image", "pull", `oci-archive:${oci}:two`, "--name", "from-oci");
  assert.match((await refused("INVALID_ARGUMENT", "image", "pull", `oci:${fixture.folder}`)).message, /no OCI layout/);
  await refused("HOST_PATH_NOT_FOUND", "image", "pull", "oci-archive:/nowhere.tar", "--name", "x");
  await mkdir(path.join(fixture.folder, "half"));
  await writeFile(path.join(fixture.folder, "half/index.json"), "{}");
  // What cannot be read here is told as that.
  assert.match(
    (await refused("TOOL_FAILED", "image", "pull", `oci:${fixture.folder}/half`, "--name", "x")).message,
    /blobs/,
  );
  // skopeo writes what docker would.
  const docker = path.join(fixture.folder, "images.docker.tar");
  execFileSync("skopeo", ["copy", "--insecure-policy", `oci:${layout}:two`, `docker-archive:${docker}:some/app:7`]);
  const { image } = await cli<ImageResult>("image", "pull", `docker-archive:${docker}:docker.io/some/app:7`);
  assert.deepEqual(image.tags, ["app:7", "from-oci"]);
  assert.deepEqual(image.config.cmd, ["/busybox", "echo", "two"]);
});

test("the daemon reads no path of a caller's", async () => {
  // Over the API there is only a body; what looks like a path is a name that no image may have.
  const { client } = fixture;
  for (const name of ["../../etc/passwd", "/etc/passwd", "oci:/etc"])
    await assert.rejects(client.images.get(name), { code: "IMAGE_NOT_FOUND" });
  for (const reference of [
    "oci:/root",
    "dir:/root",
    "oci-archive:/etc/passwd",
    "docker-archive:/etc/passwd",

    "--help",
  ])
    await assert.rejects(client.images.pull({ reference, name: "x" }, undefined), { code: "INVALID_ARGUMENT" });
});

test("names come and go; a name that is taken moves", async () => {
  const tagged = await cli<ImageInfo>("image", "tag", "plain", "spare:2");
  assert.deepEqual(tagged.tags, ["plain", "spare:2"]);
  await cli("image", "tag", tagged.digest.slice(0, 20), "c-gz");
  assert.deepEqual((await cli<ImageInfo>("image", "get", "c-xz")).tags, ["c-plain", "c-xz", "c-zst"]);
  const untagged = await cli<ImageInfo>("image", "untag", "c-gz");
  assert.deepEqual(untagged.tags, ["plain", "spare:2"]);
  await refused("IMAGE_NOT_FOUND", "image", "untag", "c-gz");
  await refused("IMAGE_NOT_FOUND", "image", "untag", tagged.digest);
  await refused("IMAGE_NOT_FOUND", "image", "tag", "none", "x");
  for (const name of ["../x", "A", "a/b", "sha256:abc", "a:b:c", ".x"])
    await refused("INVALID_NAME", "image", "tag", "plain", name);
});

test("an image stays while a VM, a snapshot or a template needs it, and who does is named", async () => {
  await cli("vm", "create", "user", "--image", "plain");
  const byVm = await refused("IMAGE_IN_USE", "image", "delete", "plain", "--force");
  assert.match(byVm.message, /vm user/);
  await cli("snapshot", "create", "user", "kept");
  await cli("vm", "delete", "user");
  const bySnapshot = await refused("IMAGE_IN_USE", "image", "delete", "plain", "--force");
  assert.match(bySnapshot.message, /by snapshot kept$/);
  const dry = await cli<ImagePruned>("image", "prune", "--all", "--dry-run");
  assert.ok(!dry.images.some(({ tags }) => tags.includes("plain")));
  await cli("snapshot", "delete", "kept");
  const byTemplate = await refused("IMAGE_IN_USE", "image", "delete", "plain");
  assert.match(byTemplate.message, /by template /);
  assert.match(byTemplate.hint ?? "", /--force/);
  const { usedBy, digest } = await cli<ImageInfo>("image", "get", "plain");
  assert.deepEqual(
    usedBy.map(({ kind }) => kind),
    ["template"],
  );
  await cli("image", "delete", "plain", "--force");
  await refused("IMAGE_NOT_FOUND", "image", "get", digest);
  assert.equal(
    (await fixture.client.templates.list()).some((template) => template.imageDigest === digest),
    false,
  );
  await refused("IMAGE_NOT_FOUND", "vm", "create", "--image", "spare:2");
});

test("prune says what would go, then that goes, and with --all what has a name, too", async () => {
  for (const name of ["c-plain", "c-xz"]) await cli("image", "untag", name);
  const none = await cli<ImagePruned>("image", "prune");
  assert.deepEqual([none.images, none.freedBytes], [[], 0]);
  const { digest, sizeBytes } = await cli<ImageInfo>("image", "untag", "c-zst");
  const dry = await cli<ImagePruned>("image", "prune", "--dry-run");
  assert.deepEqual(
    dry.images.map((image) => image.digest),
    [digest],
  );
  assert.equal(dry.freedBytes, sizeBytes);
  const done = await cli<ImagePruned>("image", "prune");
  assert.deepEqual({ ...done, isDryRun: true }, dry);
  await refused("IMAGE_NOT_FOUND", "image", "get", digest);
  const left = await cli<{ images: ImageInfo[] }>("image", "list");
  const all = await cli<ImagePruned>("image", "prune", "--all");
  assert.equal(all.images.length, left.images.length);
  assert.deepEqual((await cli<{ images: ImageInfo[] }>("image", "list")).images, []);
  // The answer to an import is there a moment before its work folder is gone.
  await waitFor(async () => (await readdir(fixture.paths.images)).sort().join() === ".locks,tags");
});
