import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Template } from "../../src/contract/snapshot.ts";
import type { Vm, VmCreate } from "../../src/contract/vm.ts";
import { hashFile } from "../../src/images/digest.ts";
import { agentBinaryPath } from "../../src/platform/package-files.ts";
import { callDaemon } from "../support/daemon-api.ts";
import { type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";

/** One kind of VM for all of this, so that one template serves. */
const KIND = { memoryMib: 256, accel: "tcg" } as const;

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

async function sh(vm: string, script: string, on: DaemonFixture = fixture): Promise<string> {
  const result = await on.cli(["vm", "exec", vm, "--", "sh", "-c", script]);
  assert.equal(result.exitCode, 0, result.stderr);
  return result.stdout.trim();
}
const create = (name: string, more: VmCreate = {}, on: DaemonFixture = fixture): Promise<Vm> =>
  on.client.vms.create({ ...KIND, name, ...more });
const listTemplates = async (on: DaemonFixture = fixture) =>
  (await callDaemon<{ templates: Template[] }>(on.paths.socket, "GET", "/v1/templates")).templates;

/** What its files hold, by path. */
async function digestTemplates(on: DaemonFixture = fixture): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const file of readdirSync(on.paths.templates, { recursive: true, encoding: "utf8" }).sort()) {
    const isFile = path.basename(file).includes(".") || ["memory", "state"].includes(path.basename(file));
    if (isFile) digests[file] = await hashFile(path.join(on.paths.templates, file));
  }
  return digests;
}

const IDENTITY = `
echo "uuid $(cat /proc/sys/kernel/random/uuid)"
echo "urandom $(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')"
echo "getrandom $(mktemp -u XXXXXXXXXXXXXXXX)"
echo "machine-id $(cat /etc/machine-id)"
echo "boot-id $(cat /proc/sys/kernel/random/boot_id)"
echo "hostname $(hostname)"
command -v python3 > /dev/null && echo "python-uuid $(python3 -c 'import uuid; print(uuid.uuid4())')"
echo "seconds $(date +%s)"
echo "disk-mib $(df -m --output=size / | tail -1 | tr -d ' ')"
echo "colour $COLOUR"
`;

async function identify(vm: string): Promise<Map<string, string>> {
  const lines = (await sh(vm, IDENTITY)).split("\n");
  return new Map(lines.map((line) => [line.split(" ")[0] as string, line.split(" ").slice(1).join(" ")]));
}

test("two forks of one template are two machines, each with its own name, ids, random numbers and the time", async () => {
  const vms = [await create("one", { env: { COLOUR: "red" }, diskMib: 3072 }), await create("two", { diskMib: 3072 })];
  assert.deepEqual(
    vms.map((vm) => vm.origin),
    ["template", "template"],
  );
  assert.equal((await listTemplates()).length, 1);
  const before = Date.now() / 1000;
  const [one, two] = [await identify("one"), await identify("two")];
  const after = Date.now() / 1000;
  for (const key of ["uuid", "urandom", "getrandom", "machine-id", "boot-id", "hostname"]) {
    assert.ok((one.get(key) ?? "").length > 0, `${key} is there`);
    assert.notEqual(one.get(key), two.get(key), key);
  }
  if (one.has("python-uuid")) assert.notEqual(one.get("python-uuid"), two.get("python-uuid"));
  for (const [name, its] of [
    ["one", one],
    ["two", two],
  ] as const) {
    assert.equal(its.get("hostname"), name);
    assert.match(its.get("machine-id") ?? "", /^[0-9a-f]{32}$/);
    assert.match(its.get("boot-id") ?? "", /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    const seconds = Number(its.get("seconds"));
    assert.ok(seconds > before - 2 && seconds < after + 2, `${name}: ${seconds} is not between ${before} and ${after}`);
    // ext4 keeps some of it for itself.
    const diskMib = Number(its.get("disk-mib"));
    assert.ok(diskMib > 2700 && diskMib <= 3072, `${name}: the disk has ${diskMib} MiB`);
  }
  assert.deepEqual([one.get("colour"), two.get("colour")], ["red", ""]);
});

test("the identity of a fork is no other fork's later, and stays its own", async () => {
  const machineId = await sh("one", "cat /etc/machine-id");
  await fixture.client.vms.delete("two");
  await create("two", { diskMib: 3072 });
  const [one, two] = [await identify("one"), await identify("two")];
  assert.equal(one.get("machine-id"), machineId);
  for (const key of ["uuid", "urandom", "machine-id", "boot-id"]) assert.notEqual(one.get(key), two.get(key), key);
});

test("no write of one fork is seen by another, on the disk or in memory", async () => {
  const places = ["/root", "/dev/shm", "/tmp", "/run", "/etc", "/usr/local"];
  for (const vm of ["one", "two"]) await sh(vm, places.map((place) => `echo ${vm} > ${place}/note`).join("; "));
  await sh("one", "sync; echo 3 > /proc/sys/vm/drop_caches");
  for (const vm of ["one", "two"]) {
    const notes = await sh(vm, places.map((place) => `cat ${place}/note`).join("; "));
    assert.deepEqual(
      notes.split("\n"),
      places.map(() => vm),
    );
  }
  await create("three");
  assert.deepEqual(await fixture.client.execs.list("three"), [], "no fork finds a command of the template's");
  assert.equal(await sh("three", `ls ${places.map((place) => `${place}/note`).join(" ")} 2>/dev/null | wc -l`), "0");
  assert.equal(await sh("three", "df -m --output=size / | tail -1").then((size) => Number(size) < 2048), true);
});

test("a template's files are what they were after 50 forks that wrote all they could", async () => {
  for (const vm of await fixture.client.vms.list()) await fixture.client.vms.delete(vm.id);
  const before = await digestTemplates();
  assert.deepEqual(
    Object.keys(before).map((file) => path.basename(file)),
    ["manifest.json", "memory", "overlay.ext4", "state", "vmm.log"],
  );
  for (let forked = 0; forked < 50; forked += 5) {
    const names = [0, 1, 2, 3, 4].map((index) => `fork-${forked + index}`);
    await Promise.all(names.map((name) => create(name)));
    await Promise.all(
      names.map((name) =>
        sh(
          name,
          "head -c 4M /dev/urandom | tee /dev/shm/noise > /root/noise; echo x >> /etc/hosts; rm -rf /usr/share/doc/[a-c]*; sync",
        ),
      ),
    );
    await Promise.all(names.map((name) => fixture.client.vms.delete(name)));
  }
  assert.deepEqual(await digestTemplates(), before);
  assert.equal((await listTemplates()).length, 1);
});

/** Writes to all of its memory all the time, and ends when a page is not what it last wrote there. */
const WRITER = `
#define PAGES 8192
static volatile unsigned long pages[PAGES][512] __attribute__((aligned(4096)));
int main(void) {
  for (unsigned long round = 1;; round++) {
    for (int page = 0; page < PAGES; page++) pages[page][round % 512] = round;
    for (int page = 0; page < PAGES; page++) if (pages[page][round % 512] != round) return 1;
  }
}
`;

test("a snapshot of a guest that writes to its memory all the time is whole", async () => {
  const program = path.join(fixture.folder, "writer");
  execFileSync("cc", ["-O1", "-static", "-x", "c", "-", "-o", program], { input: WRITER });
  await create("busy");
  assert.equal((await fixture.cli(["vm", "cp", program, "busy:/root/writer"])).exitCode, 0);
  await sh("busy", "chmod 755 /root/writer; /root/writer > /dev/null 2>&1 & sleep 1");
  for (let round = 0; round < 3; round++) {
    const name = `busy-${round}`;
    await callDaemon(fixture.paths.socket, "POST", "/v1/vms/busy/fork", { name });
    for (const vm of ["busy", name]) {
      await sleep(500);
      assert.equal(await sh(vm, "pgrep -fx /root/writer > /dev/null && echo writes"), "writes", vm);
      assert.equal(
        await sh(vm, "dmesg 2>/dev/null | grep -cE 'Oops|BUG:|general protection|segfault' || true"),
        "0",
        vm,
      );
    }
    await fixture.client.vms.delete(name);
  }
  await fixture.client.vms.delete("busy");
});

/** Open descriptors of a process by what they are; sockets and pipes by their kind alone. */
function describeFds(pid: number): string[] {
  const names: string[] = [];
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      names.push(readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, ""));
    } catch {
      // It was closed meanwhile.
    }
  }
  return names.sort();
}

/** Everything of the installation that a VM could leave behind. */
async function takeStock(pid: number) {
  const processes = (await listProcesses(fixture.folder)).map(({ command }) => command);
  const tree = (folder: string) => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return {
    processes: processes.sort(),
    runtime: tree(fixture.paths.runtime),
    vms: tree(fixture.paths.vms),
    templates: tree(fixture.paths.templates),
    snapshots: tree(fixture.paths.snapshots),
    fds: describeFds(pid),
  };
}

test("a hundred VMs that come and go leave no process, file, socket, folder or open descriptor", async () => {
  const { pid } = await fixture.client.status();
  const cycle = async (index: number) => {
    await create(`cycle-${index}`);
    await fixture.client.vms.delete(`cycle-${index}`);
  };
  // The first ones open what is kept: the template's memory, for instance.
  for (let index = 0; index < 3; index++) await cycle(index);
  await sleep(500);
  const before = await takeStock(pid);
  for (let index = 0; index < 100; index++) await cycle(index);
  let now = await takeStock(pid);
  for (let tries = 0; tries < 300 && JSON.stringify(now) !== JSON.stringify(before); tries++) {
    await sleep(100);
    now = await takeStock(pid);
  }
  assert.deepEqual(now, before);
  assert.deepEqual(now.vms, []);
});

test("snapshots, forks of them, suspensions and deletions leave nothing either", async () => {
  const { pid } = await fixture.client.status();
  const post = (route: string, body: object = {}) => callDaemon(fixture.paths.socket, "POST", `/v1/${route}`, body);
  const cycle = async () => {
    await create("source");
    await sh("source", "echo kept > /dev/shm/note");
    await post("vms/source/snapshots", { name: "warm" });
    await post("snapshots/warm/fork", { name: "child" });
    assert.equal(await sh("child", "cat /dev/shm/note; hostname"), "kept\nchild");
    await post("vms/source/fork", { name: "twin" });
    await post("vms/source/suspend");
    assert.equal(await sh("source", "cat /dev/shm/note; hostname"), "kept\nsource");
    await post("snapshots/warm/restore");
    assert.equal(await sh("source", "cat /dev/shm/note; hostname"), "kept\nsource");
    for (const vm of ["source", "child", "twin"]) await fixture.client.vms.delete(vm);
    await callDaemon(fixture.paths.socket, "DELETE", "/v1/snapshots/warm");
  };
  await cycle();
  await sleep(500);
  const before = await takeStock(pid);
  for (let round = 0; round < 2; round++) await cycle();
  let now = await takeStock(pid);
  for (let tries = 0; tries < 300 && JSON.stringify(now) !== JSON.stringify(before); tries++) {
    await sleep(100);
    now = await takeStock(pid);
  }
  assert.deepEqual(now, before);
});

/** Gives an installation a copy of its own of a folder that it shares with others. */
function ownFolder(on: DaemonFixture, name: "images" | "kernels"): string {
  const folder = path.join(on.paths.home, name);
  const shared = readlinkSync(folder);
  rmSync(folder);
  cpSync(shared, folder, { recursive: true });
  return folder;
}

/** Another image with the same files in it: what follows a squashfs is not read. */
async function addPaddedImage(images: string): Promise<string> {
  // Others may lie there, and need not be whole.
  const original = readFileSync(path.join(images, "tags", "debian"), "utf8").slice("sha256:".length, 23);
  const rootfs = path.join(images, "padded.squashfs");
  copyFileSync(path.join(images, original, "rootfs.squashfs"), rootfs);
  appendFileSync(rootfs, Buffer.alloc(4096));
  const digest = await hashFile(rootfs);
  const folder = path.join(images, digest.slice(0, 16));
  cpSync(path.join(images, original), folder, { recursive: true });
  copyFileSync(rootfs, path.join(folder, "rootfs.squashfs"));
  rmSync(rootfs);
  const manifest = JSON.parse(readFileSync(path.join(folder, "image.json"), "utf8"));
  const sizeBytes = manifest.sizeBytes + 4096;
  writeFileSync(
    path.join(folder, "image.json"),
    JSON.stringify({ ...manifest, digest: `sha256:${digest}`, sizeBytes }),
  );
  writeFileSync(path.join(images, "tags", "padded"), `sha256:${digest}\n`);
  return folder;
}

test("a template is made once for all who ask, another for each other input; what is of no use any more is pruned", async () => {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "fb-inputs-"));
  const agent = path.join(scratch, "agent");
  copyFileSync(agentBinaryPath(), agent);
  const other = await startDaemonFixture({ env: { FIREBREAK_AGENT: agent } });
  try {
    ownFolder(other, "kernels");
    const padded = await addPaddedImage(ownFolder(other, "images"));
    const made = () => readFileSync(other.paths.daemonLog, "utf8").split("a template is made").length - 1;
    await Promise.all([create("a", {}, other), create("b", {}, other), create("c", { diskMib: 4096 }, other)]);
    const [first] = await listTemplates(other);
    assert.deepEqual([(await listTemplates(other)).length, made()], [1, 1]);
    const others: VmCreate[] = [{ cpus: 2 }, { memoryMib: 320 }, { diskMib: 512 }, { image: "padded" }];
    for (const [index, more] of others.entries()) {
      await create(`other-${index}`, more, other);
      assert.equal(made(), 2 + index, JSON.stringify(more));
    }
    // Ahead of its first VM; of a kind that there is, it is that.
    const ahead = await other.json<Template>("template", "create", "--memory", "288");
    const known = await other.json<Template>("template", "create", "--memory", "288");
    assert.deepEqual([ahead.memoryMib, known.id, made()], [288, ahead.id, 2 + others.length]);
    await other.ok("template", "delete", ahead.id);
    const wrong = await other.cli(["template", "create", "--image", "none"]);
    assert.match(wrong.stderr, /IMAGE_NOT_FOUND/);
    const all = await listTemplates(other);
    assert.equal(all.length, 1 + others.length);
    assert.deepEqual(
      all.filter((template) => template.isStale),
      [],
    );
    // An image that is gone.
    rmSync(padded, { recursive: true });
    rmSync(path.join(other.paths.images, "tags", "padded"));
    const stale = (await listTemplates(other)).filter((template) => template.isStale);
    assert.deepEqual(
      stale.map((template) => template.image),
      ["padded"],
    );
    // An agent that is another one.
    appendFileSync(agent, "\0");
    assert.ok((await listTemplates(other)).every((template) => template.isStale));
    await create("new-agent", {}, other);
    assert.equal(made(), 3 + others.length);
    const route = "/v1/templates/prune";
    const { pruned } = await callDaemon<{ pruned: Template[] }>(other.paths.socket, "POST", route, {});
    assert.equal(pruned.length, 1 + others.length);
    const left = await listTemplates(other);
    assert.equal(left.length, 1);
    assert.notEqual(left[0]?.id, first?.id);
    assert.deepEqual(readdirSync(other.paths.templates), [left[0]?.id]);
    assert.equal(await sh("a", "hostname", other), "a", "a fork does not depend on its template any more");
    await create("again", {}, other);
    assert.equal(made(), 3 + others.length, "what was not stale is still of use");
  } finally {
    await other.close();
    rmSync(scratch, { recursive: true, force: true });
  }
});

test("a template that a killed daemon was making is made again, and nothing of the first is left", async () => {
  const other = await startDaemonFixture();
  try {
    const creating = create("first", {}, other);
    creating.catch(() => {});
    while (!(await listProcesses(other.folder)).some(({ command }) => command.includes("firebreak-t"))) await sleep(20);
    process.kill((await other.client.status()).pid, "SIGKILL");
    await assert.rejects(creating, { code: "DAEMON_UNAVAILABLE" });
    await other.cli(["daemon", "start"]);
    assert.deepEqual(readdirSync(other.paths.templates), []);
    const processes = await listProcesses(other.folder);
    assert.deepEqual(
      processes.filter(({ command }) => /firebreak-t|hold-memory|lend-memory/.test(command)),
      [],
    );
    await create("second", {}, other);
    assert.equal((await listTemplates(other)).length, 1);
  } finally {
    await other.close();
  }
});
