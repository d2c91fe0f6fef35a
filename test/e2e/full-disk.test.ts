import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, symlinkSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { VmEvent } from "../../src/contract/event.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor } from "../support/wait-for.ts";

/** VMs whose drives are on a small file system, which they fill. */

let fixture: DaemonFixture;
const needsRoot = process.getuid?.() === 0 ? false : "mounting needs root";
const MIB = 1024 * 1024;
let small: string;

before(async () => {
  fixture = await startDaemonFixture();
  small = path.join(fixture.folder, "small");
  mkdirSync(small);
  if (needsRoot !== false) return;
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=100m,mode=0711", "none", small]);
  for (const folder of [fixture.paths.vms, fixture.paths.drives]) move(folder);
});
after(async () => {
  // What is deleted is moved there first, and each daemon begins with a new one.
  if (needsRoot === false) move(fixture.paths.trash);
  for (const { id } of await fixture.client.vms.list()) await fixture.client.vms.delete(id);
  if (needsRoot === false) execFileSync("umount", ["-l", small]);
  await fixture.close();
});

/** Has a folder on the small file system. */
function move(folder: string): void {
  const moved = path.join(small, path.basename(folder));
  mkdirSync(moved, { mode: 0o711 });
  rmSync(folder, { recursive: true });
  symlinkSync(moved, folder);
}

/** From now on it has room for so much more. */
function makeRoom(mib: number): void {
  const { blocks, bfree, bsize } = statfsSync(small);
  const usedMib = Math.ceil(((blocks - bfree) * bsize) / MIB);
  execFileSync("mount", ["-o", `remount,size=${usedMib + mib}m`, small]);
}
const stateOf = async (name: string) => (await fixture.client.vms.get(name)).state;
const kindsOf = async (name: string) =>
  (await fixture.json<{ events: VmEvent[] }>("event", "list", name)).events.map(({ kind }) => kind);
/** Bytes that no hole takes the place of; what was written is told by its sum. */
const write = (file: string, mib: number) =>
  `head -c ${mib}M /dev/zero | tr '\\0' x > ${file} && sync && echo 3 > /proc/sys/vm/drop_caches && cksum < ${file}`;
const sumOf = (mib: number) =>
  execFileSync("sh", ["-c", `head -c ${mib}M /dev/zero | tr '\\0' x | cksum`], { encoding: "utf8" });

test("a full host disk pauses the VM that writes, which loses nothing and goes on when there is room", {
  skip: needsRoot,
}, async () => {
  await fixture.ok("vm", "create", "writer", "--memory", "512");
  const writing = fixture.cli(["vm", "exec", "writer", "--", "sh", "-c", write("/root/big", 160)]);
  await waitFor(async () => (await stateOf("writer")) === "paused", 120_000);
  const { stderr } = await fixture.cli(["vm", "exec", "writer", "--", "true"]);
  assert.match(stderr, /the VM 'writer' is paused \(the host's disk is full; it goes on when there is room\)/);
  assert.match((await fixture.cli(["vm", "resume", "writer"])).stderr, /HOST_DISK_FULL/);
  // What the next daemon finds is the same.
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  await waitFor(async () => (await fixture.cli(["vm", "list"])).exitCode === 0);
  assert.equal(await stateOf("writer"), "paused");
  makeRoom(200);
  await waitFor(async () => (await stateOf("writer")) === "running", 60_000);
  // Its caller went with the daemon; the command did not.
  await writing;
  const sum = () =>
    fixture.cli([
      "vm",
      "exec",
      "writer",
      "--",
      "sh",
      "-c",
      "while pgrep -x 'head|tr|sync' >/dev/null; do sleep 0.2; done; cksum < /root/big",
    ]);
  assert.equal((await sum()).stdout, sumOf(160));
  assert.equal((await fixture.cli(["vm", "exec", "writer", "--", "touch", "/root/after"])).exitCode, 0);
  const kinds = await kindsOf("writer");
  assert.ok(kinds.includes("disk_full") && kinds.includes("disk_has_room"), kinds.join());
});

test("an attached drive that finds no room stops its VM, too", { skip: needsRoot }, async () => {
  await fixture.ok("volume", "create", "data", "--size", "1G");
  await fixture.ok("drive", "attach", "writer", "data", "--path", "/mnt/data");
  makeRoom(80);
  const writing = fixture.cli(["vm", "exec", "writer", "--", "sh", "-c", write("/mnt/data/big", 160)]);
  await waitFor(async () => (await stateOf("writer")) === "paused", 120_000);
  makeRoom(200);
  const { exitCode, stdout, stderr } = await writing;
  assert.deepEqual([exitCode, stdout], [0, sumOf(160)], stderr);
  assert.equal(await stateOf("writer"), "running");
});
