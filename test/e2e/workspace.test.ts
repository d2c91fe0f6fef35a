import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";
import { readFiles, writeFiles } from "../support/workspace-service.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const sh = (vm: string, script: string) =>
  fixture.cli(["vm", "exec", vm, "--", "sh", "-c", `cd /workspace && ${script}`]);
function project(name: string, files: Record<string, string>): string {
  const folder = path.join(fixture.folder, "projects", name);
  mkdirSync(folder, { recursive: true });
  writeFiles(folder, files);
  return folder;
}
const stateOf = async (vm: string) => (await fixture.client.workspaces.get(vm)).state;

test("a command works on a copy of a directory, and what it changes comes back when it ends", async () => {
  const folder = project("run", { kept: "1", changed: "1", deleted: "1" });
  const script = "pwd; echo 2 > changed; rm deleted; mkdir new; echo 3 > new/file; exit 3";
  const result = await fixture.cli(["run", "--disk", "128", "--workspace", folder, "--", "sh", "-c", script]);
  assert.deepEqual([result.exitCode, result.stdout], [3, "/workspace\n"]);
  assert.deepEqual(readFiles(folder), { kept: "1", changed: "2\n", new: "/", "new/file": "3\n" });
  const backup = /backup: (\S+)/.exec(result.stderr)?.[1];
  assert.match(result.stderr, /2 created, 1 updated, 1 deleted/);
  assert.equal((await fixture.cli(["workspace", "restore", backup as string])).exitCode, 0);
  assert.deepEqual(readFiles(folder), { kept: "1", changed: "1", deleted: "1" });
});

test("nothing comes back from a read-only workspace", async () => {
  const folder = project("ro", { a: "1" });
  const result = await fixture.cli([
    "run",
    "--disk",
    "128",
    "-W",
    `${folder}:ro`,
    "--",
    "sh",
    "-c",
    "cat a; echo 2 > a",
  ]);
  assert.equal(result.stdout, "1");
  assert.deepEqual(readFiles(folder), { a: "1" });
});

test("a stop brings changes back, whoever asks for it; conflicts are named, left alone, and keep the VM from being deleted", async () => {
  const folder = project("stop", { a: "1", b: "1" });
  await fixture.cli(["vm", "create", "dev", "--disk", "128", "--workspace", folder]);
  await sh("dev", "echo vm > a; echo vm > b");
  writeFileSync(path.join(folder, "b"), "host");
  await fixture.client.vms.stop("dev", {});
  assert.deepEqual(readFiles(folder), { a: "vm\n", b: "host" });
  assert.equal(await stateOf("dev"), "not_synced");
  const refused = await fixture.cli(["vm", "delete", "dev"]);
  assert.match(refused.stderr, /WORKSPACE_NOT_SYNCED/);
  await fixture.client.vms.start("dev");
  const kept = await fixture.cli(["workspace", "pull", "dev", "--keep-both"]);
  assert.match(kept.stderr, /conflict: b/);
  assert.deepEqual(readFiles(folder), { a: "vm\n", b: "host", "b.from-dev": "vm\n" });
  // The host's decided version goes in with the next push.
  assert.equal((await fixture.cli(["workspace", "push", "dev"])).exitCode, 0);
  assert.equal((await sh("dev", "cat b b.from-dev")).stdout, "hostvm\n");
  assert.equal((await fixture.cli(["vm", "delete", "dev"])).exitCode, 0);
});

test("a restarted daemon still pulls at the stop", async () => {
  const folder = project("restart", { a: "1" });
  await fixture.cli(["vm", "create", "again", "--disk", "128", "--workspace", folder]);
  await fixture.cli(["daemon", "stop"]);
  await sh("again", "echo 2 > a");
  await fixture.client.vms.stop("again", {});
  assert.deepEqual([readFiles(folder), await stateOf("again")], [{ a: "2\n" }, "synced"]);
  await fixture.client.vms.delete("again");
});

test("a VM that crashed is reported as not synced, nothing is half applied, and it can be pulled later", async () => {
  const folder = project("crash", { a: "1" });
  await fixture.cli(["vm", "create", "crasher", "--disk", "128", "--workspace", folder]);
  await sh("crasher", "echo 2 > a; sync");
  process.kill((await fixture.client.vms.get("crasher")).pid as number, "SIGKILL");
  await waitForVmState(fixture.client, "crasher", "crashed");
  assert.deepEqual([readFiles(folder), await stateOf("crasher")], [{ a: "1" }, "not_synced"]);
  assert.match((await fixture.cli(["vm", "delete", "crasher"])).stderr, /WORKSPACE_NOT_SYNCED/);
  await fixture.client.vms.start("crasher");
  assert.equal((await fixture.cli(["workspace", "pull", "crasher"])).exitCode, 0);
  assert.deepEqual(readFiles(folder), { a: "2\n" });
  await fixture.client.vms.delete("crasher");
});

test("ten thousand small files go in; a daemon that is killed while they come back is followed by one that finishes", async () => {
  const folder = project("many", {});
  for (let index = 0; index < 10_000; index++) {
    if (index % 100 === 0) mkdirSync(path.join(folder, `d${index / 100}`));
    writeFileSync(path.join(folder, `d${Math.floor(index / 100)}`, `f${index}`), String(index));
  }
  await fixture.client.vms.create({ name: "many", diskMib: 512 });
  const pushed = await fixture.client.workspaces.push("many", { directory: folder });
  assert.equal(pushed.counts.created, 10_100);
  await sh("many", "for d in d*; do for f in $d/*; do echo vm >> $f; done; done; rm -r d7");
  const { id } = await fixture.client.vms.get("many");
  const { pid } = await fixture.client.status();
  const pull = fixture.client.workspaces.pull("many", {}).catch((error: unknown) => error);
  // Held in the middle: the plan is on disk, and some of it is done.
  const isChanged = (index: number) =>
    readFileSync(path.join(folder, `d${Math.floor(index / 100)}`, `f${index}`), "utf8").endsWith("vm\n");
  await waitFor(
    () => existsSync(path.join(fixture.paths.workspaces, id, "journal.json")) && !existsSync(path.join(folder, "d7")),
  );
  process.kill(pid, "SIGSTOP");
  const indices = Array.from({ length: 10_000 }, (_, index) => index).filter((index) => Math.floor(index / 100) !== 7);
  const done = indices.filter(isChanged).length;
  assert.ok(done < indices.length, "the pull was over before it could be held");
  process.kill(pid, "SIGKILL");
  await pull;
  assert.equal((await fixture.cli(["daemon", "start"])).exitCode, 0);
  await waitFor(async () => (await stateOf("many")) === "synced");
  assert.equal(indices.filter((index) => !isChanged(index)).length, 0);
  assert.equal(existsSync(path.join(folder, "d7")), false);
  assert.equal((await fixture.client.workspaces.pull("many", {})).changes.length, 0);
  await fixture.client.vms.delete("many");
});

test("a run whose daemon is killed brings its workspace back when the next one cleans up", async () => {
  const folder = project("lost", { a: "1" });
  const running = fixture.cli([
    "run",
    "--disk",
    "128",
    "-W",
    folder,
    "--",
    "sh",
    "-c",
    "echo 2 > a; touch done; sleep 1000",
  ]);
  await waitFor(async () => {
    const [vm] = (await fixture.client.vms.list()).filter(({ ephemeral, state }) => ephemeral && state === "running");
    if (vm === undefined) return false;
    const stat = await fixture.client.files.stat(vm.name, "/workspace/done").catch(() => undefined);
    return stat !== undefined;
  });
  process.kill((await fixture.client.status()).pid, "SIGKILL");
  await running;
  assert.equal((await fixture.cli(["daemon", "start"])).exitCode, 0);
  await waitFor(async () => (await fixture.client.vms.list()).length === 0);
  assert.deepEqual(readFiles(folder), { a: "2\n", done: "" });
  const workspaces = await fixture.client.workspaces.list();
  assert.ok(workspaces.some((workspace) => workspace.directory === folder && workspace.state === "synced"));
});

test("a caller over TCP cannot make the daemon read or write a directory of its host", async () => {
  const folder = project("remote", { secret: "kept" });
  const { url } = await fixture.client.listen({ address: "127.0.0.1:0" });
  const { key } = await fixture.client.keys.create({ name: "k" });
  const ask = async (method: string, to: string, body: unknown) => {
    const response = await fetch(`${url}${to}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return ((await response.json()) as { error: { code: string } }).error.code;
  };
  await fixture.client.vms.create({ name: "remote", diskMib: 128 });
  const answers = [
    await ask("POST", "/v1/vms", { workspace: { directory: folder } }),
    await ask("POST", "/v1/vms/remote/workspace/push", { directory: folder }),
    await ask("POST", "/v1/vms/remote/workspace/pull", { directory: folder }),
    await ask("POST", "/v1/vms/remote/workspace/status", {}),
    await ask("POST", "/v1/backups/x/restore", {}),
    await ask("DELETE", "/v1/backups/x", {}),
  ];
  assert.deepEqual(
    answers,
    answers.map(() => "LOCAL_CALLERS_ONLY"),
  );
  assert.deepEqual(readFiles(folder), { secret: "kept" });
  await fixture.client.vms.delete("remote");
});
