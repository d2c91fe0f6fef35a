import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { Manifest } from "../../src/snapshots/manifest.ts";
import { callDaemon } from "../support/daemon-api.ts";
import { type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";

/** A snapshot folder that somebody else has written: whatever it holds is refused before anything starts, and the daemon goes on. */

/** A daemon that waits for a pipe would never answer, ms. */
const HANG_MS = 30_000;

let fixture: DaemonFixture;
/** A whole snapshot, and where copies of it are put. */
let whole: string;
let snapshots: string;
before(async () => {
  fixture = await startDaemonFixture();
  snapshots = fixture.paths.snapshots;
  await fixture.client.vms.create({ name: "source", memoryMib: 256, diskMib: 512, accel: "tcg" });
  const taken = await post<{ id: string }>("vms/source/snapshots", { name: "warm" });
  // The next daemon knows nothing of its files.
  await fixture.cli(["daemon", "stop"]);
  await fixture.cli(["daemon", "start"]);
  whole = path.join(fixture.folder, "whole");
  copySparse(path.join(snapshots, taken.id), whole);
});
after(() => fixture.close());

const post = <T>(route: string, body: object = {}) => callDaemon<T>(fixture.paths.socket, "POST", `/v1/${route}`, body);
const readManifest = (folder: string): unknown => JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8"));
const manifestOf = (folder: string) => readManifest(folder) as Manifest;

/** Node would write the holes out. */
const copySparse = (from: string, to: string) => void execFileSync("cp", ["-r", "--sparse=always", from, to]);

function editManifest(folder: string, edit: (manifest: Record<string, unknown>) => unknown): void {
  const manifest = readManifest(folder) as Record<string, unknown>;
  writeFileSync(path.join(folder, "manifest.json"), JSON.stringify(edit(manifest) ?? manifest));
}
/** Sets one value of the manifest, by its path. */
const changed = (place: string, value: unknown) => (folder: string) =>
  editManifest(folder, (manifest) => {
    const keys = place.split(".");
    const last = keys.pop() as string;
    const owner = keys.reduce((at, key) => at[key] as Record<string, unknown>, manifest);
    owner[last] = value;
    return manifest;
  });

function flipByte(file: string, offset: number): void {
  const fd = openSync(file, "r+");
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Buffer.from([(byte[0] as number) ^ 0xff]), 0, 1, offset);
  closeSync(fd);
}

function replace(name: string, by: (file: string) => void): (folder: string) => void {
  return (folder) => {
    rmSync(path.join(folder, name));
    by(path.join(folder, name));
  };
}
const pipe = (file: string) => void execFileSync("mkfifo", [file]);
const HUGE = 2 ** 53;

const ATTACKS: [string, (folder: string) => void][] = [
  ["an id that leads elsewhere", changed("id", "../../../../../../../etc")],
  ["the id of another", changed("id", "f".repeat(12))],
  ["a VM's id that leads elsewhere", changed("vm.id", "../../../../../../tmp/elsewhere")],
  ["a VM's name that leads elsewhere", changed("vm.name", "../x")],
  ["an environment that is none", changed("vm.env", { "LD_PRELOAD=/x\n": "" })],
  ["a name for an image, to have it built", changed("imageDigest", "debian")],
  ["a wider policy", changed("policy", { network: "all" })],
  ["huge memory", changed("machine.memoryMib", HUGE)],
  ["huge sizes", changed("state.sizeBytes", HUGE)],
  ["no vCPUs", changed("machine.cpus", 0)],
  [
    "memory of a terabyte, nearly all of it a hole",
    (folder) => {
      changed("machine.memoryMib", 1024 * 1024)(folder);
      truncateSync(path.join(folder, "memory"), 1024 ** 4);
    },
  ],
  ["another machine's driver", changed("machine.driver", "other")],
  ["another host's traits", changed("host.vmm", "qemu 99.0.0")],
  ["an older format", changed("format", 0)],
  ["no JSON", (folder) => writeFileSync(path.join(folder, "manifest.json"), "\0".repeat(10_000))],
  ["deep JSON", (folder) => writeFileSync(path.join(folder, "manifest.json"), "[".repeat(1_000_000))],
  ["a manifest of many gigabytes", (folder) => truncateSync(path.join(folder, "manifest.json"), 64 * 1024 ** 3)],
  ["a pipe for the manifest", replace("manifest.json", pipe)],
  ["a manifest without end", replace("manifest.json", (file) => symlinkSync("/dev/zero", file))],
  ["a pipe for the memory", replace("memory", pipe)],
  ["a pipe for the state", replace("state", pipe)],
  ["a pipe for the drive", replace("overlay.ext4", pipe)],
  ["a folder for the memory", replace("memory", (file) => mkdirSync(file))],
  ["a link to a file of the host's", replace("memory", (file) => symlinkSync("/etc/passwd", file))],
  ["a link to the right memory", replace("memory", (file) => symlinkSync(path.join(whole, "memory"), file))],
  ["a link to the right drive", replace("overlay.ext4", (file) => symlinkSync(path.join(whole, "overlay.ext4"), file))],
  ["truncated memory", (folder) => truncateSync(path.join(folder, "memory"), 4096)],
  ["no memory", (folder) => rmSync(path.join(folder, "memory"))],
  ["a byte of the memory changed", (folder) => flipByte(path.join(folder, "memory"), 128 * 1024 * 1024)],
  ["a byte of the state changed", (folder) => flipByte(path.join(folder, "state"), 1000)],
  ["a byte of the drive changed", (folder) => flipByte(path.join(folder, "overlay.ext4"), 1024 * 1024)],
  ["the memory's digest changed", changed("memory.sha256", "0".repeat(64))],
  ["the state's digest changed", changed("state.sha256", "0".repeat(64))],
  [
    "another drive of the same size",
    (folder) => {
      const file = path.join(folder, "overlay.ext4");
      const { size } = statSync(file);
      rmSync(file);
      writeFileSync(file, "");
      truncateSync(file, size);
    },
  ],
  [
    "a drive that the manifest says nothing of",
    (folder) =>
      editManifest(folder, ({ overlay: _overlay, ...rest }) => {
        flipByte(path.join(folder, "overlay.ext4"), 1024 * 1024);
        return rest;
      }),
  ],
  [
    "state and memory swapped",
    (folder) => {
      renameSync(path.join(folder, "state"), path.join(folder, "x"));
      renameSync(path.join(folder, "memory"), path.join(folder, "state"));
      renameSync(path.join(folder, "x"), path.join(folder, "memory"));
    },
  ],
];

const REFUSALS = new Set(["SNAPSHOT_CORRUPT", "SNAPSHOT_INCOMPATIBLE", "SNAPSHOT_NOT_FOUND", "VM_MEMORY_EXHAUSTED"]);

async function within<T>(work: Promise<T>, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} hangs`)), HANG_MS);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

test("whatever is in a snapshot's folder is refused before anything starts, and the daemon goes on", async (context) => {
  const source = await fixture.client.vms.get("source");
  const outside = readdirSync(fixture.folder).sort();
  for (const [index, [what, attack]] of ATTACKS.entries()) {
    const id = `bad${index.toString(16).padStart(9, "0")}`;
    const folder = path.join(snapshots, id);
    copySparse(whole, folder);
    changed("id", id)(folder);
    changed("name", `bad-${index}`)(folder);
    attack(folder);
    for (const route of ["fork", "restore"]) {
      const error = await within(
        post(`snapshots/${id}/${route}`, route === "fork" ? { name: "child" } : {}).then(
          () => assert.fail(`${what}: ${route} was done`),
          (thrown: unknown) => thrown,
        ),
        `${what}: ${route}`,
      );
      if (!(error instanceof FirebreakError)) throw error;
      assert.ok(REFUSALS.has(error.code), `${what}: ${route}: ${error.code} ${error.message}`);
    }
    await within(callDaemon(fixture.paths.socket, "GET", "/v1/snapshots"), `${what}: the list`);
    await within(
      callDaemon(fixture.paths.socket, "DELETE", `/v1/snapshots/${id}`).catch(() => {}),
      `${what}: deletion`,
    );
    assert.equal(existsSync(folder), false, `${what}: it can be deleted`);
    assert.deepEqual(
      (await fixture.client.vms.list()).map((vm) => vm.name),
      ["source"],
      what,
    );
    const now = await fixture.client.vms.get("source");
    assert.deepEqual([now.state, now.pid], ["running", source.pid], `${what}: the VM was left alone`);
  }
  assert.deepEqual(readdirSync(fixture.folder).sort(), outside);
  const vmms = (await listProcesses(fixture.folder)).filter(({ command }) => command.includes("-name firebreak-"));
  assert.equal(vmms.length, 1, "no VMM was started or left");
  context.diagnostic(`${ATTACKS.length} attacks, each by fork, restore, list and deletion`);
});

test("the snapshot that they were made from is still of use", async () => {
  await post("snapshots/warm/fork", { name: "child" });
  assert.equal((await fixture.client.vms.get("child")).state, "running");
  await fixture.client.vms.delete("child");
});

test("a template's folder that somebody else has written is not used: another is made", async () => {
  const [id] = readdirSync(fixture.paths.templates);
  const template = path.join(fixture.paths.templates, id as string);
  const copy = path.join(fixture.folder, "template");
  copySparse(template, copy);
  const attacks: [string, (folder: string) => void][] = [
    ["a pipe for the manifest", replace("manifest.json", pipe)],
    ["a byte of the memory changed", (folder) => flipByte(path.join(folder, "memory"), 128 * 1024 * 1024)],
    ["a byte of the drive changed", (folder) => flipByte(path.join(folder, "overlay.ext4"), 1024 * 1024)],
    [
      "a snapshot's folder",
      (folder) => copyFileSync(path.join(whole, "manifest.json"), path.join(folder, "manifest.json")),
    ],
  ];
  for (const [index, [what, attack]] of attacks.entries()) {
    await fixture.cli(["daemon", "stop"]);
    rmSync(template, { recursive: true, force: true });
    copySparse(copy, template);
    attack(template);
    await fixture.cli(["daemon", "start"]);
    const name = `after-${index}`;
    await within(fixture.client.vms.create({ name, memoryMib: 256, diskMib: 512, accel: "tcg" }), what);
    assert.equal((await fixture.client.vms.get(name)).state, "running", what);
    await fixture.client.vms.delete(name);
    assert.equal(manifestOf(template).id, id);
  }
});
