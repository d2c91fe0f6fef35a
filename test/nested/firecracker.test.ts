import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, afterEach, before, type TestContext, test } from "node:test";
import type { Vm } from "../../src/contract/vm.ts";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import type { FirecrackerRelease } from "../../src/vmm/firecracker/release/release.ts";
import { featuresOf, parseFirecrackerVersion } from "../../src/vmm/firecracker/release/version.ts";
import { type NestedHost, openNestedHost } from "../support/nested-host.ts";

/**
 * A real Firecracker, with guests of its own in a guest that has KVM by emulation: `make test-firecracker-nested FIRECRACKER=PATH`, which is a release's archive,
 * or its program with the jailer beside it. Slow: some minutes on a quiet machine.
 */

/** Where consoles and logs are after a failure. */
const KEPT = path.join(PACKAGE_ROOT, "test-output", "nested");
/** Saves of older releases lose their guests. */
const SAVES_SINCE = "1.16.1";

let host: NestedHost;
let release: FirecrackerRelease;
let hasFailed = false;
const startedAt = Date.now();
const say = (what: string) =>
  process.stderr.write(`nested: ${String(Math.round((Date.now() - startedAt) / 1000)).padStart(4)} s  ${what}\n`);

before(async () => {
  const given = process.env.FIREBREAK_NESTED_FIRECRACKER ?? "";
  assert.ok(given !== "", "say which Firecracker: make test-firecracker-nested FIRECRACKER=/path/to/firecracker");
  const file = path.resolve(given);
  assert.ok(existsSync(file), `there is no ${file}`);
  host = await openNestedHost(say);
  try {
    await host.sh("mkdir -p /root/release");
    const jailer = path.join(path.dirname(file), path.basename(file).replace("firecracker", "jailer"));
    for (const each of new Set([file, jailer, `${file}.sha256.txt`]))
      if (existsSync(each)) await host.send(each, `/root/release/${path.basename(each)}`);
    const { stdout } = await host.ok("setup", "--firecracker", `/root/release/${path.basename(file)}`, "--json");
    release = JSON.parse(stdout) as FirecrackerRelease;
    // A release without its jailer can be looked at, too.
    if (release.jailer === undefined)
      await host.sh(`printf '[firecracker]\\nallow_unjailed = true\\n' > $FIREBREAK_HOME/firebreak.toml`);
    // What is waited for is a host on which nothing else runs.
    await host.sh("for i in 1 2 3 4 5 6 7 8 9; do /opt/firebreak/bin/firebreak daemon start && exit; done; exit 1");
    say(`Firecracker ${release.version} is installed, and the daemon runs`);
  } catch (error) {
    hasFailed = true;
    throw error;
  }
});

afterEach((context) => {
  // A context of a test, which says whether it passed.
  if ("passed" in context && !context.passed) hasFailed = true;
  say(`${hasFailed ? "after a failure" : "done"}: ${context.name}`);
});

after(async () => {
  if (host === undefined) return;
  if (hasFailed) {
    await host.keepLogs(KEPT);
    say(`consoles and logs are in ${KEPT}`);
  }
  await host.close();
});

const exec = async (vm: string, ...argv: string[]) => (await host.ok("vm", "exec", vm, "--", ...argv)).stdout;

/** The users of all Firecrackers that run. */
async function listVmms(): Promise<string[]> {
  const look = 'for p in /proc/[0-9]*; do case "$(readlink $p/exe)" in */firecracker) stat -c %u $p;; esac; done; true';
  return (await host.sh(look)).split("\n").filter((line) => line !== "");
}

/** Skips by name what a release cannot do. */
function needsSaves(context: TestContext): boolean {
  if (featuresOf(parseFirecrackerVersion(release.version)).hasReliableVsock) return true;
  context.skip(
    `Firecracker ${release.version} loses guests that are restored; ${SAVES_SINCE} is the first that does not`,
  );
  return false;
}

test("doctor finds KVM and this release", async () => {
  const { stdout } = await host.firebreak("doctor");
  assert.match(stdout, new RegExp(`ok +firecracker +firecracker ${release.version.replaceAll(".", "\\.")}`), stdout);
});

test("a VM boots, by KVM and this release", async () => {
  const made = JSON.parse((await host.ok("vm", "create", "inner", "--json")).stdout) as Vm;
  assert.deepEqual([made.driver, made.accel, made.state], ["firecracker", "kvm", "running"]);
  const [uid, ...others] = await listVmms();
  assert.deepEqual(others, []);
  // A jailed one has a user of its own.
  assert.equal(Number(uid) > 0, release.jailer !== undefined, uid);
});

test("commands run in it, with what they say and how they end", async () => {
  assert.equal(await exec("inner", "sh", "-c", "hostname; echo $((6 * 7))"), "inner\n42\n");
  const { exitCode, stderr } = await host.firebreak("vm", "exec", "inner", "--", "sh", "-c", "echo no >&2; exit 3");
  assert.deepEqual([exitCode, stderr], [3, "no\n"]);
});

test("a file goes in and comes back as it was", async () => {
  const bytes = randomBytes(3 * 1024 * 1024);
  const file = path.join(host.fixture.folder, "sent");
  await writeFile(file, bytes);
  await host.send(file, "/root/sent");
  await host.ok("vm", "cp", "/root/sent", "inner:/root/sent");
  await host.ok("vm", "cp", "inner:/root/sent", "/root/back");
  await host.fixture.ok("vm", "cp", "outer:/root/back", `${file}.back`);
  assert.deepEqual(await readFile(`${file}.back`), bytes);
});

test("it stands still and goes on", async () => {
  await host.ok("vm", "pause", "inner");
  await host.ok("vm", "resume", "inner");
  assert.equal(await exec("inner", "hostname"), "inner\n");
});

test("it is saved, and works on", async (context) => {
  if (!needsSaves(context)) return;
  await exec("inner", "sh", "-c", "echo kept > /dev/shm/note");
  await host.ok("snapshot", "create", "inner", "point");
  assert.equal(await exec("inner", "cat", "/dev/shm/note"), "kept\n");
});

test("it is restored as it was, and forked", async (context) => {
  if (!needsSaves(context)) return;
  await exec("inner", "sh", "-c", "echo changed > /dev/shm/note");
  await host.ok("snapshot", "restore", "point");
  assert.equal(await exec("inner", "cat", "/dev/shm/note"), "kept\n");
  await host.ok("snapshot", "fork", "point", "second");
  assert.equal(await exec("second", "sh", "-c", "hostname; cat /dev/shm/note"), "second\nkept\n");
});

test("it is deleted, and nothing of it is left", async () => {
  await host.ok("vm", "delete", "--all");
  assert.deepEqual(await listVmms(), []);
});
