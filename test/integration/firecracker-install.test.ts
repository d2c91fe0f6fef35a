import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import { runCommand } from "../../src/platform/process.ts";
import { hostArch } from "../../src/vmm/firecracker/release/elf.ts";
import { installRelease } from "../../src/vmm/firecracker/release/install.ts";
import { checkDigests, type FirecrackerRelease, findRelease } from "../../src/vmm/firecracker/release/release.ts";
import { makeProgram, makeRelease, type ReleaseChanges, sha256 } from "../fakes/firecracker/release.ts";
import { runProgram } from "../support/daemon-fixture.ts";

/** `firebreak setup --firecracker`: archives that the test makes, and a server of its own in the place of the project's. */

const arch = hostArch();
const otherArch = arch === "x86_64" ? "aarch64" : "x86_64";
/** What the server has, by path. */
const published = new Map<string, Buffer | string>();
const asked: string[] = [];
const server = http.createServer((request, response) => {
  asked.push(request.url ?? "");
  const found = published.get(request.url ?? "");
  const body = found ?? "nothing here";
  response.writeHead(found === undefined ? 404 : 200, { "content-length": body.length }).end(body);
});
let mirror: string;
let folder: string;
let home: string;
let count = 0;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dl`;
  folder = await mkdtemp(path.join(os.tmpdir(), "fb-fc-install-"));
});
beforeEach(() => {
  home = path.join(folder, `home-${count++}`);
  published.clear();
  asked.length = 0;
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

/** An archive in a file of its own. */
async function archive(version: string, changes?: ReleaseChanges): Promise<string> {
  const file = path.join(folder, `${count++}-firecracker-v${version}-${arch}.tgz`);
  await writeFile(file, makeRelease(version, changes));
  return file;
}

function publish(version: string, bytes: Buffer, digest = sha256(bytes)): void {
  const name = `firecracker-v${version}-${arch}.tgz`;
  published.set(`/dl/v${version}/${name}`, bytes);
  published.set(`/dl/v${version}/${name}.sha256.txt`, `${digest}  ${name}\n`);
}

const install = (source: string) => installRelease({ home, source, env: { FIREBREAK_FIRECRACKER_MIRROR: mirror } });
const cli = (...args: string[]) =>
  runProgram(path.join(PACKAGE_ROOT, "bin", "firebreak"), ["setup", ...args], {
    env: {
      ...process.env,
      FIREBREAK_HOME: home,
      FIREBREAK_RUNTIME_DIR: path.join(folder, "run"),
      FIREBREAK_FIRECRACKER_MIRROR: mirror,
    },
  });

/** It is refused, and neither is anything left of it nor has what was there changed. */
async function assertRefused(source: string, code: string, message: RegExp): Promise<void> {
  const root = path.join(home, "firecracker");
  const list = () => readdir(root).catch(() => []);
  const earlier = await list();
  await assert.rejects(install(source), { code, message });
  assert.deepEqual(await list(), earlier);
}

test("an archive is installed by the command, with what it was verified by, and found", async () => {
  const file = await archive("1.16.1");
  const { exitCode, stdout, stderr } = await cli("--firecracker", file);
  assert.equal(exitCode, 0, stderr);
  assert.equal(stdout, `Firecracker 1.16.1 and its jailer are installed in ${home}/firecracker/1.16.1\n`);
  const release = (await findRelease(home)) as FirecrackerRelease;
  const programs = { firecracker: makeProgram("Firecracker v1.16.1\n"), jailer: makeProgram("Jailer v1.16.1\n") };
  assert.deepEqual(release, {
    version: "1.16.1",
    firecracker: `${home}/firecracker/1.16.1/firecracker`,
    jailer: `${home}/firecracker/1.16.1/jailer`,
    digests: { firecracker: sha256(programs.firecracker), jailer: sha256(programs.jailer) },
  });
  assert.deepEqual(await readFile(release.firecracker), programs.firecracker);
  const { mode, uid } = await stat(release.jailer as string);
  assert.deepEqual([mode & 0o7777, uid], [0o755, process.getuid?.()]);
  assert.equal((await runCommand(release.firecracker, ["--version"])).stdout, "Firecracker v1.16.1\n");
  await checkDigests(release);
});

test("a home without one has none", async () => {
  assert.equal(await findRelease(home), undefined);
});

test("what has changed since is told by its name before it is used", async () => {
  const release = await install(await archive("1.16.1"));
  await appendFile(release.jailer as string, "x");
  await assert.rejects(checkDigests(release), { code: "VMM_ALTERED", message: /\/jailer is not the program that was/ });
  // A link to the right bytes is not what was installed, either.
  await rename(release.firecracker, `${release.firecracker}.moved`);
  await symlink(`${release.firecracker}.moved`, release.firecracker);
  await assert.rejects(checkDigests(release), { code: "VMM_ALTERED", message: /\/firecracker cannot be read/ });
  await rm(path.join(home, "firecracker", "1.16.1", "release.json"));
  await assert.rejects(findRelease(home), { code: "VMM_ALTERED", message: /is not whole/ });
  // And is put right by installing it again.
  await checkDigests(await install(await archive("1.16.1")));
});

test("what is installed last is used, older or newer, and the others stay", async () => {
  await install(await archive("1.16.1"));
  await install(await archive("1.15.0"));
  assert.equal((await findRelease(home))?.version, "1.15.0");
  assert.deepEqual((await readdir(path.join(home, "firecracker"))).sort(), ["1.15.0", "1.16.1", "current"]);
});

test("a bare program is taken with the jailer beside it, and without one where there is none", async () => {
  const file = path.join(folder, `firecracker-${count++}`);
  await writeFile(file, makeProgram("Firecracker v1.14.2\n"));
  assert.deepEqual(Object.keys((await install(file)).digests), ["firecracker"]);
  const alone = await cli("--firecracker", file);
  assert.match(alone.stdout, /^Firecracker 1\.14\.2 is installed in .*\nIt came without its jailer/);
  await writeFile(file.replace(/firecracker-(\d+)$/, "jailer-$1"), makeProgram("Jailer v1.14.2\n"));
  assert.deepEqual(Object.keys((await install(file)).digests), ["firecracker", "jailer"]);
  await writeFile(file.replace(/firecracker-(\d+)$/, "jailer-$1"), makeProgram("Jailer v1.14.1\n"));
  await assertRefused(file, "VMM_RELEASE_INVALID", /firecracker is 1\.14\.2 and its jailer 1\.14\.1/);
});

test("an archive whose bytes are not those of its digests is refused", async () => {
  const flip = (text: string) => text.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  const wrong = await archive("1.16.1", { sums: flip });
  await assertRefused(wrong, "VMM_RELEASE_INVALID", /firecracker-v1\.16\.1-\w+ has another digest/);
  const none = await archive("1.16.1", { sums: () => "" });
  await assertRefused(none, "VMM_RELEASE_INVALID", /does not name firecracker-v1/);
  // The digest that is published beside an archive, brought along with it.
  const file = await archive("1.16.1");
  await writeFile(`${file}.sha256.txt`, `${"0".repeat(64)}  ${path.basename(file)}\n`);
  await assertRefused(file, "VMM_RELEASE_INVALID", /another digest than .*sha256\.txt says/);
  // One that is there and cannot be read is not passed over.
  const unread = await archive("1.16.1");
  await mkdir(`${unread}.sha256.txt`);
  await assertRefused(unread, "VMM_RELEASE_INVALID", /sha256\.txt cannot be read \(EISDIR\)/);
});

test("another architecture, an old version, a missing jailer and programs of two releases are refused", async () => {
  const refused = async (version: string, changes: ReleaseChanges, code: string, message: RegExp) =>
    assertRefused(await archive(version, changes), code, message);
  const invalid = "VMM_RELEASE_INVALID";
  await refused("1.16.1", { arch: otherArch }, invalid, new RegExp(`it is for ${otherArch}, and this host is ${arch}`));
  await refused("1.16.1", { program: { arch: otherArch } }, invalid, new RegExp(`its firecracker is for ${otherArch}`));
  await refused("1.16.1", { program: { isDynamic: true } }, invalid, /is not static/);
  await refused("1.12.1", {}, "VMM_START_FAILED", /Firecracker 1\.12\.1 is too old; 1\.13 is the oldest/);
  await refused(
    "1.16.1",
    { firecrackerSays: "1.16.0" },
    invalid,
    /its firecracker says 1\.16\.0, and its name 1\.16\.1/,
  );
  await refused("1.16.1", { jailerSays: "1.15.0" }, invalid, /firecracker is 1\.16\.1 and its jailer 1\.15\.0/);
  const withoutJailer: ReleaseChanges = { members: (all) => all.filter((member) => !member.path.includes("/jailer")) };
  await refused("1.16.1", withoutJailer, invalid, /it has no jailer-v1\.16\.1/);
});

test("hostile archives are refused: links, ways out, devices, twice the same name, bombs, no archive", async () => {
  const top = `release-v1.16.1-${arch}`;
  const refused = async (extra: NonNullable<Parameters<typeof addMember>[0]>, message: RegExp) =>
    assertRefused(await archive("1.16.1", { members: addMember(extra) }), "VMM_RELEASE_INVALID", message);
  await refused({ path: `${top}/link`, type: "symlink", linkTarget: "/etc/passwd" }, /a link or a device/);
  await refused({ path: `${top}/hard`, type: "link", linkTarget: `${top}/LICENSE` }, /a link or a device/);
  await refused({ path: `${top}/disk`, type: "block" }, /a link or a device/);
  await refused({ path: "../../outside", content: "x" }, /\.\./);
  await refused({ path: "elsewhere/firecracker", content: "x" }, /which no release does/);
  await refused({ path: `${top}/deep/er`, content: "x" }, /which no release does/);
  await refused({ path: `${top}/jailer-v1.16.1-${arch}`, content: "x" }, /twice/);
  await refused({ path: `${top}/SHA256SUMS`, content: Buffer.alloc(128 * 1024) }, /twice/);
  await refused({ path: `${top}/huge`, sizeBytes: 3 * 1024 ** 3, content: "" }, /2147483648|2 GiB|bytes/);
  await refused({ path: `${top}/firecracker-v9-${arch}`, content: Buffer.alloc(65 * 1024 ** 2) }, /larger than any/);
  const truncated = path.join(folder, "truncated.tgz");
  await writeFile(truncated, makeRelease("1.16.1").subarray(0, 300));
  await assertRefused(truncated, "VMM_RELEASE_INVALID", /./);
  const text = path.join(folder, "text.tgz");
  await writeFile(text, "no archive");
  await assertRefused(text, "VMM_RELEASE_INVALID", /neither a \.tgz archive nor a program/);
  assert.equal(existsSync(path.join(folder, "outside")), false);
});

type Members = NonNullable<ReleaseChanges["members"]>;
const addMember =
  (extra: Parameters<Members>[0][number]): Members =>
  (all) => [...all, extra];

test("a release's number is downloaded, with the digest that is published beside it", async () => {
  publish("1.16.1", makeRelease("1.16.1"));
  const { exitCode, stdout, stderr } = await cli("--firecracker", "v1.16.1", "--json");
  assert.equal(exitCode, 0, stderr);
  assert.equal((JSON.parse(stdout) as FirecrackerRelease).version, "1.16.1");
  const name = `/dl/v1.16.1/firecracker-v1.16.1-${arch}.tgz`;
  assert.deepEqual(asked, [`${name}.sha256.txt`, name]);
  const manifest = await readFile(path.join(home, "firecracker", "1.16.1", "release.json"), "utf8");
  assert.equal((JSON.parse(manifest) as { source: string }).source, `${mirror}/v1.16.1/${name.split("/").pop()}`);
});

test("a download is told of as it comes", async () => {
  publish("1.16.1", makeRelease("1.16.1"));
  const fractions: number[] = [];
  await installRelease({
    home,
    source: "1.16.1",
    env: { FIREBREAK_FIRECRACKER_MIRROR: mirror },
    onProgress: ({ fraction }) => void fractions.push(fraction ?? -1),
  });
  assert.equal(fractions[0], 0);
  assert.equal(fractions.at(-1), 1);
});

test("a download with another digest, of another release, or that is not there is refused", async () => {
  publish("1.16.1", makeRelease("1.16.1"), "0".repeat(64));
  await assertRefused("1.16.1", "VMM_RELEASE_FETCH_FAILED", /another digest than is published beside it/);
  publish("1.15.1", makeRelease("1.15.0"));
  await assertRefused("1.15.1", "VMM_RELEASE_INVALID", /it is 1\.15\.0, and not 1\.15\.1/);
  await assertRefused("1.14.9", "VMM_RELEASE_FETCH_FAILED", /could not be downloaded: .*sha256\.txt answers 404/);
  // What is too old is not asked for.
  asked.length = 0;
  await assertRefused("1.12.1", "VMM_START_FAILED", /too old/);
  assert.deepEqual(asked, []);
});

test("without a network it says to bring a file; what is neither file nor number is refused", async () => {
  // A port that was free a moment ago, on which nobody listens.
  const other = http.createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  await new Promise((resolve) => other.close(resolve));
  const env = { FIREBREAK_FIRECRACKER_MIRROR: `http://127.0.0.1:${port}` };
  await assert.rejects(installRelease({ home, source: "1.16.1", env }), {
    code: "VMM_RELEASE_FETCH_FAILED",
    message: /^Firecracker 1\.16\.1 could not be downloaded: .*ECONNREFUSED/,
    hint: /give it as FILE/,
  });
  await assertRefused("newest", "INVALID_ARGUMENT", /neither a file nor the number/);
  await assertRefused(folder, "INVALID_ARGUMENT", /is no file/);
  const nothing = await cli();
  assert.equal(nothing.exitCode, 2);
  assert.match(nothing.stderr, /--firecracker FILE\|VERSION/);
});

test("installations at once, of the same release and of another with its number, all end well", async () => {
  const files = await Promise.all([archive("1.16.1"), archive("1.16.1", { members: (all) => all })]);
  const other = path.join(folder, `firecracker-${count++}`);
  await writeFile(other, makeProgram("Firecracker v1.16.1\n"));
  const all = await Promise.all(
    [...files, other, ...files, other, ...files, other].map((file) => cli("--firecracker", file)),
  );
  assert.deepEqual(
    all.map(({ stderr }) => stderr).filter((text) => text !== ""),
    [],
  );
  await checkDigests((await findRelease(home)) as FirecrackerRelease);
  assert.deepEqual((await readdir(path.join(home, "firecracker"))).sort(), ["1.16.1", "current"]);
});

test("a release that is installed again is there all the time", async () => {
  const file = await archive("1.16.1");
  const inode = async () => (await stat(path.join(home, "firecracker", "1.16.1"))).ino;
  await install(file);
  const before = await inode();
  await install(file);
  assert.equal(await inode(), before);
});

test("a build whose version has a name behind it is found again", async () => {
  const file = path.join(folder, `firecracker-${count++}`);
  await writeFile(file, makeProgram("Firecracker v1.17.0-dev-12-gabcdef0\n"));
  assert.equal((await install(file)).version, "1.17.0-dev-12-gabcdef0");
});
