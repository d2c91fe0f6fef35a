import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createWorkspaceHooks } from "../../src/workspaces/hooks.ts";
import { hasCode } from "../support/has-code.ts";
import { openWorkspaces, readFiles, VM, writeFiles } from "../support/workspace-service.ts";

let ws: Awaited<ReturnType<typeof openWorkspaces>>;
beforeEach(async () => {
  ws = await openWorkspaces();
});
afterEach(() => ws.close());

test("a push copies files, modes and links, and a second one has nothing to do", async () => {
  writeFiles(ws.host, { "a/b": "1", tool: "x" });
  chmodSync(path.join(ws.host, "tool"), 0o755);
  symlinkSync("a/b", path.join(ws.host, "link"));
  mkdirSync(path.join(ws.host, "empty"));
  const report = await ws.push();
  assert.deepEqual(readFiles(ws.guest), readFiles(ws.host));
  assert.equal(statSync(path.join(ws.guest, "tool")).mode & 0o777, 0o755);
  assert.deepEqual(report.counts, { created: 5, updated: 0, deleted: 0 });
  assert.deepEqual((await ws.push()).changes, []);
  assert.deepEqual((await ws.pull()).changes, []);
});

test("a pull brings changes, new files and deletions, and the directory as it was is in a backup", async () => {
  writeFiles(ws.host, { kept: "1", changed: "1", deleted: "1", "d/deep/gone": "1" });
  await ws.push();
  const before = readFiles(ws.host);
  writeFiles(ws.guest, { changed: "2", deleted: null, d: null, "new/file": "3" });
  chmodSync(path.join(ws.guest, "kept"), 0o755);
  const report = await ws.pull();
  assert.deepEqual(readFiles(ws.host), { kept: "1", changed: "2", new: "/", "new/file": "3" });
  assert.equal(statSync(path.join(ws.host, "kept")).mode & 0o777, 0o755);
  assert.deepEqual(report.counts, { created: 2, updated: 2, deleted: 4 });
  const backup = report.backup;
  assert.ok(backup !== undefined && existsSync(backup.file));
  const restored = await ws.service.restore(backup.id, undefined, {});
  assert.deepEqual(readFiles(ws.host), before);
  assert.equal(statSync(path.join(ws.host, "kept")).mode & 0o777, 0o644);
  // What the restore replaced can be had again, too.
  assert.ok(restored.backup !== undefined && restored.backup.id !== backup.id);
});

test("a dry run says what would be done and does nothing", async () => {
  writeFiles(ws.host, { a: "1" });
  const first = await ws.push({ dryRun: true });
  assert.deepEqual([first.isDryRun, first.counts.created, existsSync(ws.guest)], [true, 1, false]);
  assert.deepEqual(ws.store.list(), []);
  await ws.push();
  writeFiles(ws.guest, { a: "2", b: "3" });
  const report = await ws.pull({ dryRun: true });
  assert.deepEqual(report.changes, [
    { path: "a", change: "updated" },
    { path: "b", change: "created" },
  ]);
  assert.deepEqual([readFiles(ws.host), report.backup, ws.service.listBackups()], [{ a: "1" }, undefined, []]);
});

for (const [resolve, expected] of [
  [undefined, { both: "host", "host-only": "2", gone: "host" }],
  ["ours", { both: "host", "host-only": "2", gone: "host" }],
  ["theirs", { both: "vm", "host-only": "2" }],
  ["keep-both", { both: "host", "both.from-web": "vm", "host-only": "2", gone: "host" }],
] as const) {
  test(`a path that both have changed is named, and pulled with ${resolve ?? "nothing said"} it is as asked`, async () => {
    writeFiles(ws.host, { both: "1", "host-only": "1", gone: "1" });
    await ws.push();
    writeFiles(ws.host, { both: "host", "host-only": "2", gone: "host" });
    writeFiles(ws.guest, { both: "vm", gone: null });
    const report = await ws.pull(resolve === undefined ? {} : { resolve });
    assert.deepEqual(report.conflicts.map((conflict) => Object.values(conflict).join(" ")).sort(), [
      "both changed changed",
      "gone changed deleted",
    ]);
    assert.deepEqual(readFiles(ws.host), expected);
    // A conflict that was left alone is one the next time, too; one that was decided is none.
    assert.equal((await ws.pull()).conflicts.length, resolve === undefined ? 2 : 0);
  });
}

test("a push meets the VM's changes in the same way, and --ours is this host's on both ways", async () => {
  writeFiles(ws.host, { both: "1", gone: "1" });
  await ws.push();
  writeFiles(ws.host, { both: "host", gone: null });
  writeFiles(ws.guest, { both: "vm", own: "vm" });
  const report = await ws.push();
  assert.deepEqual(report.conflicts, [{ path: "both", host: "changed", vm: "changed" }]);
  assert.deepEqual(readFiles(ws.guest), { both: "vm", own: "vm" });
  await ws.push({ resolve: "keep-both" });
  assert.deepEqual(readFiles(ws.guest), { both: "vm", "both.from-host": "host", own: "vm" });
  writeFiles(ws.host, { both: "host again" });
  await ws.push({ resolve: "ours" });
  assert.deepEqual(readFiles(ws.guest), { both: "host again", "both.from-host": "host", own: "vm" });
});

test("what a VM had at the place before the first push is not overwritten", async () => {
  writeFiles(ws.guest, { a: "vm", b: "vm" });
  writeFiles(ws.host, { a: "host", c: "host" });
  const report = await ws.push();
  assert.deepEqual(report.conflicts, [{ path: "a", host: "created", vm: "created" }]);
  assert.deepEqual(readFiles(ws.guest), { a: "vm", b: "vm", c: "host" });
});

test("what is excluded is not seen on either side, also when the VM changes the patterns", async () => {
  writeFiles(ws.host, { ".firebreakignore": ".env\n", ".env": "secret", "node_modules/x": "1", a: "1" });
  await ws.push({ exclude: ["node_modules/"] });
  assert.deepEqual(readFiles(ws.guest), { a: "1" });
  writeFiles(ws.guest, { ".firebreakignore": "", ".env": "evil", "node_modules/y": "2", a: "2" });
  const report = await ws.pull();
  assert.deepEqual(report.changes, [{ path: "a", change: "updated" }]);
  assert.equal(readFileSync(path.join(ws.host, ".env"), "utf8"), "secret");
  await ws.push();
  assert.equal(readFileSync(path.join(ws.guest, ".env"), "utf8"), "evil");
});

test("FIFOs on either side are left out by name", async () => {
  execFileSync("mkfifo", [path.join(ws.host, "pipe")]);
  writeFiles(ws.host, { a: "1" });
  assert.deepEqual(
    (await ws.push()).skipped.map((skipped) => skipped.path),
    ["pipe"],
  );
  assert.deepEqual(readFiles(ws.guest), { a: "1" });
});

test("directories that must not be synced are refused, however they are written", async () => {
  const refused = hasCode("WORKSPACE_DIRECTORY_REFUSED");
  symlinkSync("/", path.join(ws.folder, "root"));
  for (const directory of ["/", "/etc", path.join(ws.folder, "root"), process.env.HOME ?? "/root", ws.state, ws.folder])
    await assert.rejects(ws.push({ directory }), refused, directory);
  await assert.rejects(ws.push({ directory: path.join(ws.folder, "missing") }), hasCode("HOST_PATH_NOT_FOUND"));
  await assert.rejects(ws.push({ guestPath: "/" }), hasCode("INVALID_PATH"));
});

test("a workspace stays that of its directory, and a read-only one brings nothing back", async () => {
  writeFiles(ws.host, { a: "1" });
  await ws.push({ readOnly: true });
  await assert.rejects(ws.pull(), hasCode("WORKSPACE_STATE_CONFLICT"));
  const other = path.join(ws.folder, "other");
  mkdirSync(other);
  await assert.rejects(ws.push({ directory: other }), hasCode("WORKSPACE_STATE_CONFLICT"));
  await ws.service.detach(VM);
  await assert.rejects(ws.pull(), hasCode("WORKSPACE_NOT_FOUND"));
});

test("a pull into another directory leaves the workspace's own alone", async () => {
  writeFiles(ws.host, { a: "1" });
  await ws.push();
  writeFiles(ws.guest, { a: "2" });
  const other = path.join(ws.folder, "other");
  writeFiles(other, { a: "there", b: "there" });
  const report = await ws.pull({ directory: other });
  assert.deepEqual([report.conflicts.length, readFiles(other)], [1, { a: "there", b: "there" }]);
  await ws.pull({ directory: other, resolve: "theirs" });
  assert.deepEqual([readFiles(other), readFiles(ws.host)], [{ a: "2", b: "there" }, { a: "1" }]);
});

test("a VM whose workspace is gone deletes nothing here", async () => {
  writeFiles(ws.host, { a: "1" });
  await ws.push();
  rmSync(ws.guest, { recursive: true });
  await assert.rejects(ws.pull(), hasCode("FILE_NOT_FOUND"));
  assert.deepEqual(readFiles(ws.host), { a: "1" });
});

test("a directory and a file change places, on both ways", async () => {
  writeFiles(ws.host, { x: "file", "y/inner": "1" });
  await ws.push();
  writeFiles(ws.guest, { x: null, "y/inner": null });
  writeFiles(ws.guest, { y: null });
  writeFiles(ws.guest, { "x/inner": "2", y: "file" });
  await ws.pull();
  assert.deepEqual(readFiles(ws.host), { x: "/", "x/inner": "2", y: "file" });
  writeFiles(ws.host, { x: null, y: null });
  writeFiles(ws.host, { x: "again", "y/z": "3" });
  await ws.push();
  assert.deepEqual(readFiles(ws.guest), { x: "again", y: "/", "y/z": "3" });
});

test("ten thousand small files go in, come back changed, and go", async () => {
  for (let index = 0; index < 10_000; index++) {
    if (index % 100 === 0) mkdirSync(path.join(ws.host, `d${index / 100}`));
    writeFileSync(path.join(ws.host, `d${Math.floor(index / 100)}`, `f${index}`), `content ${index}`);
  }
  assert.equal((await ws.push()).counts.created, 10_100);
  assert.deepEqual(readFiles(ws.guest), readFiles(ws.host));
  for (let index = 0; index < 5_000; index++)
    writeFileSync(path.join(ws.guest, `d${Math.floor(index / 100)}`, `f${index}`), `changed ${index}`);
  for (let index = 60; index < 100; index++) rmSync(path.join(ws.guest, `d${index}`), { recursive: true });
  const { counts } = await ws.pull();
  assert.deepEqual(counts, { created: 0, updated: 5_000, deleted: 4_040 });
  assert.deepEqual(readFiles(ws.host), readFiles(ws.guest));
});

test("backups of one directory are bounded, and half of one is removed by the next daemon", async () => {
  writeFiles(ws.host, { a: "0" });
  await ws.push();
  for (let index = 1; index <= 12; index++) {
    writeFiles(ws.guest, { a: String(index) });
    await ws.pull();
  }
  const backups = ws.service.listBackups();
  assert.equal(backups.length, 10);
  const folder = path.join(ws.state, "backups");
  writeFileSync(path.join(folder, "b1.tar.zst.part"), "half");
  await ws.restart();
  assert.deepEqual(readdirSync(folder).sort(), backups.map((backup) => path.basename(backup.file)).sort());
});

test("a file that somebody changes on the host while the VM's is read is a conflict, not overwritten", async () => {
  writeFiles(ws.host, { a: "1", b: "1" });
  await ws.push();
  writeFiles(ws.guest, { a: "vm", b: "vm" });
  // The plan is made when the backup begins: what happens then is after the look at the directory.
  const report = await ws.service.pull(
    VM,
    ws.client,
    {},
    {
      onProgress: ({ step }) => {
        if (step === "pull") writeFiles(ws.host, { a: "edited meanwhile" });
      },
    },
  );
  assert.deepEqual(readFiles(ws.host), { a: "edited meanwhile", b: "vm" });
  assert.deepEqual(report.conflicts, [{ path: "a", host: "changed", vm: "changed" }]);
  assert.deepEqual((await ws.pull()).conflicts, [{ path: "a", host: "changed", vm: "changed" }]);
});

test("a VM may have copies besides its workspace: each is synced by itself, and what hinders one keeps the others from nothing", async () => {
  const hooks = createWorkspaceHooks(ws.service, () => {});
  const places = ["one", "two", "three"].map((name) => ({
    directory: `${ws.host}-${name}`,
    guestPath: `${ws.guest}-${name}`,
  }));
  const [one, two, three] = places as [(typeof places)[0], (typeof places)[0], (typeof places)[0]];
  for (const { directory } of places) writeFiles(directory, { a: "1" });
  writeFiles(ws.host, { a: "1" });
  ws.service.declare(VM, { directory: ws.host, guestPath: ws.guest });
  const specs = [one, two, { ...three, readOnly: true }];
  ws.service.declareCopies(VM, specs);
  let syncs = 0;
  const client = new Proxy(ws.client, {
    get: (target, name) => {
      if (name === "sync") return async () => void syncs++;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  await hooks.push(VM, client, {});
  assert.equal(syncs, 3);
  ws.service.declareCopies(VM, specs);
  for (const guest of [ws.guest, ...places.map(({ guestPath }) => guestPath)]) writeFiles(guest, { a: "22" });
  writeFiles(two.directory, { a: "333" });
  const settings = { isRequired: true, isEphemeral: false };
  assert.throws(() => ws.service.requireSynced(VM), hasCode("WORKSPACE_NOT_SYNCED"));
  // While the VM goes on, what it changes afterwards has not come back.
  await hooks.pull(VM, ws.client, { ...settings, isFinal: false });
  assert.throws(() => ws.service.requireSynced(VM), hasCode("WORKSPACE_NOT_SYNCED"));
  assert.deepEqual(readFiles(ws.host), { a: "22" });
  assert.deepEqual(readFiles(two.directory), { a: "333", "a.from-web": "22" });
  writeFiles(one.guestPath, { a: "4444" });
  writeFiles(two.guestPath, { b: "4444" });
  renameSync(one.directory, `${one.directory}-moved`);
  await assert.rejects(hooks.pull(VM, ws.client, settings), hasCode("WORKSPACE_NOT_SYNCED"));
  assert.equal(readFiles(two.directory).b, "4444");
  renameSync(`${one.directory}-moved`, one.directory);
  // The next daemon knows of all of them.
  await ws.restart();
  const reports = await createWorkspaceHooks(ws.service, () => {}).pull(VM, ws.client, settings);
  assert.equal(reports.length, 3);
  assert.deepEqual([readFiles(one.directory), readFiles(three.directory)], [{ a: "4444" }, { a: "1" }]);
  ws.service.requireSynced(VM);
  assert.equal(ws.service.isAutomatic(VM.id), true);
  await ws.service.forget(VM.id, false);
  assert.deepEqual([ws.service.recordsOf(VM.id), readdirSync(path.join(ws.state, "workspaces"))], [[], []]);
  ws.service.declareCopies(VM, specs);
  await ws.service.detach(VM);
  assert.deepEqual([ws.service.recordsOf(VM.id), readdirSync(path.join(ws.state, "workspaces"))], [[], []]);
});
