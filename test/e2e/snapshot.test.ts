import assert from "node:assert/strict";
import { copyFile, open, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshot, SnapshotDetails, Template } from "../../src/contract/snapshot.ts";
import type { Vm, VmState } from "../../src/contract/vm.ts";
import { type CliResult, type DaemonFixture, listProcesses, startDaemonFixture } from "../support/daemon-fixture.ts";
import { waitFor, waitForVmState } from "../support/wait-for.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

const cli = (...args: string[]) => fixture.cli(args);
const ok = (...args: string[]) => fixture.ok(...args);
const json = <T>(...args: string[]) => fixture.json<T>(...args);
/** What a script in a VM prints. */
const sh = async (vm: string, script: string) => (await ok("vm", "exec", vm, "--", "sh", "-c", script)).stdout;
async function refused(code: string, ...args: string[]): Promise<CliResult> {
  const result = await fixture.cli(args);
  assert.match(result.stderr, new RegExp(`\\(${code}\\)`), `${args.join(" ")} ended with ${result.exitCode}`);
  return result;
}
const waitForState = (name: string, state: VmState) => waitForVmState(fixture.client, name, state);

/** A process whose only state is in memory: it counts, and says so in its output. */
const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done";
async function startCounter(vm: string): Promise<string> {
  return (await ok("vm", "exec", vm, "--detach", "--", "sh", "-c", COUNTER)).stdout.trim();
}
/** The counter's numbers so far; they have no gap, and begin at the first that the spool kept. */
async function readCounter(vm: string, id: string): Promise<number[]> {
  const numbers = (await ok("vm", "attach", vm, id, "--no-follow")).stdout.trim().split("\n").map(Number);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + (numbers[0] ?? 0)),
    "the counter has no gap and never begins again",
  );
  return numbers;
}
async function last(vm: string, id: string): Promise<number> {
  return (await readCounter(vm, id)).at(-1) ?? 0;
}

test("the first VM of a kind makes a template, the next ones are forked from it", async () => {
  const first = await ok("vm", "create", "web", "--env", "STAGE=test");
  assert.equal(first.stdout, "web\n");
  const second = await ok("run", "--", "true");
  // On a machine that is busy a restore may last long enough to be told.
  assert.match(second.stderr, /^(restoring the VM\n)?$/);
  const { templates } = await json<{ templates: Template[] }>("template", "list");
  assert.deepEqual(
    templates.map(({ image, memoryMib, cpus, isStale }) => [image, memoryMib, cpus, isStale]),
    [["debian", 512, 1, false]],
  );
  assert.equal((await json<Vm>("vm", "get", "web")).origin, "template");
  assert.match((await ok("template", "list")).stdout, /^ID +IMAGE +MEMORY[\s\S]*debian +512 MiB/);
});

test("a VM can be booted instead", async () => {
  const vm = await json<Vm>("vm", "create", "cold", "--cold");
  assert.equal(vm.origin, "boot");
  assert.equal(await sh("cold", "hostname"), "cold\n");
  await ok("vm", "delete", "cold");
});

describe("a snapshot", () => {
  let counter: string;
  let taken: Snapshot;
  let countAtSnapshot: number;

  test("saves a running VM, which goes on", async () => {
    await sh("web", "echo good > /root/state");
    counter = await startCounter("web");
    await sleep(500);
    taken = await json<Snapshot>("snapshot", "create", "web", "ready");
    countAtSnapshot = await last("web", counter);
    assert.deepEqual([taken.name, taken.vm.name, taken.policy], ["ready", "web", { mode: "none" }]);
    assert.ok(taken.sizeBytes > 1024 * 1024 && taken.stoppedMs >= 0);
    await sleep(500);
    assert.ok((await last("web", counter)) > countAtSnapshot, "the VM goes on");
  });

  test("is listed and shown, for people and for programs", async () => {
    assert.match((await ok("snapshot", "list")).stdout, /^NAME +VM +[\s\S]*ready +web +debian +512 MiB.*\d m?s /);
    assert.match((await ok("snapshot", "inspect", "ready")).stdout, /name +ready\n[\s\S]*stopped for +[\d.]+ m?s\n/);
    assert.equal((await json<SnapshotDetails>("snapshot", "get", taken.id)).name, "ready");
    assert.match((await ok("vm", "get", "web")).stdout, /snapshot +ready/);
  });

  test("has a name that no other can take, and a name of its own when none is given", async () => {
    assert.equal((await refused("SNAPSHOT_ALREADY_EXISTS", "snapshot", "create", "web", "ready")).exitCode, 4);
    await refused("INVALID_NAME", "snapshot", "create", "web", "Not_A_Name");
    const { stdout } = await ok("snapshot", "create", "web");
    assert.match(stdout, /^web-[0-9a-f]{6}\n$/);
    const second = await json<SnapshotDetails>("snapshot", "get", stdout.trim());
    assert.deepEqual(
      second.ancestors.map(({ name }) => name),
      ["ready"],
    );
    await ok("snapshot", "delete", stdout.trim());
  });

  test("is restored: files, memory, processes and environment are as they were", async () => {
    await sh("web", "echo bad > /root/state; touch /root/later");
    await ok("vm", "kill", "web", counter);
    const before = await fixture.client.vms.get("web");
    assert.match((await ok("snapshot", "restore", "ready")).stdout, /web runs as it was in ready/);
    const now = await fixture.client.vms.get("web");
    assert.deepEqual([now.id, now.origin, now.snapshot], [before.id, "snapshot", taken.id]);
    assert.equal(await sh("web", "cat /root/state; ls /root; echo $STAGE; hostname"), "good\nstate\ntest\nweb\n");
    const count = await last("web", counter);
    await sleep(500);
    assert.ok((await last("web", counter)) > count, "the process goes on from memory");
    const clock = Number(await sh("web", "date +%s"));
    assert.ok(Math.abs(clock - Date.now() / 1000) < 5, "the clock is right");
  });

  test("is forked: the same state in a VM with an identity of its own", async () => {
    const vm = await json<Vm>("snapshot", "fork", "ready", "twin", "--disk", "3G");
    assert.deepEqual([vm.name, vm.origin, vm.snapshot, vm.diskMib], ["twin", "snapshot", taken.id, 3072]);
    const identity =
      "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1";
    const [one, two] = [await sh("web", identity), await sh("twin", identity)].map((text) => text.trim().split("\n"));
    assert.equal(one?.length, 4);
    for (const [index, value] of one?.entries() ?? []) assert.notEqual(value, two?.[index]);
    assert.equal(two?.[0], "twin");
    assert.equal(await sh("twin", "cat /root/state; echo $STAGE"), "good\ntest\n");
    assert.ok(Number((await sh("twin", "df -m --output=size / | tail -1")).trim()) > 2500, "its disk has grown");
    assert.ok((await last("twin", counter)) >= 1);
    await sh("twin", "echo twin > /root/state");
    assert.equal(await sh("web", "cat /root/state"), "good\n");
    await refused("VM_ALREADY_EXISTS", "snapshot", "fork", "ready", "twin");
    await refused("INVALID_ARGUMENT", "snapshot", "fork", "ready", "small", "--disk", "1G");
    await ok("vm", "delete", "twin");
  });

  test("can be taken of a fork, and of a paused VM", async () => {
    await ok("vm", "pause", "web");
    const paused = await json<Snapshot>("snapshot", "create", "web", "still");
    assert.equal((await fixture.client.vms.get("web")).state, "paused");
    assert.equal(paused.parent, taken.id);
    await ok("vm", "resume", "web");
    assert.equal(await sh("web", "cat /root/state"), "good\n");
    await ok("snapshot", "delete", "still");
  });

  test("is not to be had of a stopped VM", async () => {
    await ok("vm", "create", "halted");
    await ok("vm", "stop", "halted", "--force");
    const result = await refused("VM_STATE_CONFLICT", "snapshot", "create", "halted");
    assert.match(result.stderr, /is stopped[\s\S]*firebreak vm start halted/);
    await ok("vm", "delete", "halted");
  });

  test("brings a VM back that has been deleted", async () => {
    await ok("vm", "delete", "web");
    await ok("snapshot", "restore", "ready");
    assert.equal(await sh("web", "cat /root/state; hostname; echo $STAGE"), "good\nweb\ntest\n");
  });

  test("that nobody has is not found", async () => {
    assert.equal((await refused("SNAPSHOT_NOT_FOUND", "snapshot", "get", "nope")).exitCode, 3);
    await refused("SNAPSHOT_NOT_FOUND", "snapshot", "restore", "nope");
    await refused("VM_NOT_FOUND", "snapshot", "create", "nope");
  });

  describe("that is not what was saved", () => {
    const fileOf = (name: string) => path.join(fixture.paths.snapshots, taken.id, name);
    const flipAt = async (file: string, position: number) => {
      const handle = await open(file, "r+");
      const byte = Buffer.alloc(1);
      await handle.read(byte, 0, 1, position);
      byte[0] = (byte[0] ?? 0) ^ 0x10;
      await handle.write(byte, 0, 1, position);
      await handle.close();
    };
    const faults: { fault: string; file: string; code: string; spoil: (file: string) => Promise<void> }[] = [
      {
        fault: "has memory that is cut short",
        file: "memory",
        code: "SNAPSHOT_CORRUPT",
        spoil: async (file) => truncate(file, 4096),
      },
      {
        fault: "has another byte in memory",
        file: "memory",
        code: "SNAPSHOT_CORRUPT",
        spoil: (file) => flipAt(file, 64 * 1024 * 1024 + 77),
      },
      {
        fault: "has another byte in its devices",
        file: "state",
        code: "SNAPSHOT_CORRUPT",
        spoil: (file) => flipAt(file, 5000),
      },
      {
        fault: "has another byte on its drive",
        file: "overlay.ext4",
        code: "SNAPSHOT_CORRUPT",
        spoil: (file) => flipAt(file, 1100),
      },
      {
        fault: "is of another host",
        file: "manifest.json",
        code: "SNAPSHOT_INCOMPATIBLE",
        spoil: async (file) => {
          const manifest = JSON.parse(await readFile(file, "utf8")) as { host: Record<string, unknown> };
          await writeFile(file, JSON.stringify({ ...manifest, host: { ...manifest.host, vmm: "qemu 99.0.0" } }));
        },
      },
      {
        fault: "has a manifest that is none",
        file: "manifest.json",
        code: "SNAPSHOT_CORRUPT",
        spoil: (file) => writeFile(file, "{"),
      },
    ];
    for (const { fault, file, code, spoil } of faults) {
      test(`because it ${fault} is refused before anything starts, and its VM stays as it is`, async () => {
        // A daemon that has the memory at hand need not read the file: a new one must.
        await ok("daemon", "stop");
        await ok("daemon", "start");
        await sh("web", "echo now > /root/state");
        const before = await fixture.client.vms.get("web");
        const processes = (await listProcesses(fixture.folder)).length;
        await copyFile(fileOf(file), path.join(fixture.folder, "original"));
        await spoil(fileOf(file));
        try {
          // Without a name in its manifest only its id is left.
          await refused(code, "snapshot", "restore", taken.id);
          await refused(code, "snapshot", "fork", taken.id, "never");
        } finally {
          await copyFile(path.join(fixture.folder, "original"), fileOf(file));
        }
        const now = await fixture.client.vms.get("web");
        assert.deepEqual([now.state, now.pid, now.snapshot], ["running", before.pid, before.snapshot]);
        assert.equal(await sh("web", "cat /root/state"), "now\n");
        assert.equal((await listProcesses(fixture.folder)).length, processes);
        await refused("VM_NOT_FOUND", "vm", "get", "never");
      });
    }

    test("is whole again once its files are, and gone once it is deleted", async () => {
      await ok("snapshot", "restore", "ready");
      assert.equal(await sh("web", "cat /root/state"), "good\n");
      assert.equal((await ok("snapshot", "delete", "ready")).stdout, "ready\n");
      await refused("SNAPSHOT_NOT_FOUND", "snapshot", "restore", "ready");
      assert.deepEqual(await readdir(fixture.paths.snapshots), []);
      assert.match((await ok("vm", "get", "web")).stdout, /snapshot +[0-9a-f]{12} \(deleted\)/);
      assert.equal(await sh("web", "cat /root/state"), "good\n");
    });
  });
});

test("a fork of a running VM goes on beside it, and leaves no snapshot", async () => {
  const counter = await startCounter("web");
  await sleep(300);
  assert.equal((await ok("vm", "fork", "web", "beside")).stdout, "beside\n");
  for (const vm of ["web", "beside"]) {
    const count = await last(vm, counter);
    await sleep(500);
    assert.ok((await last(vm, counter)) > count, vm);
    assert.equal(await sh(vm, "hostname"), `${vm}\n`);
  }
  assert.deepEqual(await readdir(fixture.paths.snapshots), []);
  await refused("VM_ALREADY_EXISTS", "vm", "fork", "web", "beside");
  await ok("vm", "delete", "beside");
  await ok("vm", "kill", "web", counter);
});

/** Counts in every page of its memory, one after the other, and notes each page whose last count has been lost. */
const PAGE_WRITER = `
import mmap
m = memoryview(mmap.mmap(-1, 3000 * 4096)).cast('Q')
i = 0
while True:
    i += 1
    for k in range(0, 3000 * 512, 512):
        if m[k] != i - 1: open('/dev/shm/lost', 'a').write('%d %d %d\\n' % (k, m[k], i))
        m[k] = i
    open('/dev/shm/passes', 'w').write(str(i))
`;

test("a guest that writes to its memory all the time loses none of it", async () => {
  await ok("vm", "create", "writer");
  await ok("vm", "exec", "writer", "--detach", "--", "python3", "-c", PAGE_WRITER);
  await sleep(3000);
  for (const fork of ["writer-1", "writer-2"]) {
    await ok("vm", "fork", "writer", fork);
    const passes = Number(await sh(fork, "cat /dev/shm/passes"));
    // Each page is looked at once more.
    await waitFor(async () => Number(await sh(fork, "cat /dev/shm/passes")) >= passes + 2);
    assert.equal(await sh(fork, "cat /dev/shm/lost 2> /dev/null || true"), "");
    await ok("vm", "delete", fork);
  }
  await ok("vm", "delete", "writer");
});

test("a paused VM stands still, says how to go on, and goes on", async () => {
  const counter = await startCounter("web");
  await sleep(300);
  assert.match((await ok("vm", "pause", "web")).stdout, /web is paused/);
  assert.match((await ok("vm", "list")).stdout, /web +paused/);
  for (const args of [
    ["vm", "exec", "web", "--", "true"],
    ["vm", "cp", "web:/etc/hostname", path.join(fixture.folder, "hostname")],
    ["vm", "suspend", "web"],
  ])
    assert.match((await refused("VM_STATE_CONFLICT", ...args)).stderr, /is paused[\s\S]*firebreak vm resume web/);
  assert.match((await ok("vm", "resume", "web")).stdout, /web runs/);
  const count = await last("web", counter);
  await sleep(500);
  assert.ok((await last("web", counter)) > count);
  await ok("vm", "kill", "web", counter);
});

test("a suspended VM has no process, and comes back with the next use of it, its own processes where they were", async () => {
  const counter = await startCounter("web");
  await sleep(300);
  const { pid } = await fixture.client.vms.get("web");
  assert.match((await ok("vm", "suspend", "web")).stdout, /web is suspended/);
  assert.equal(
    (await listProcesses(fixture.folder)).some((process) => process.pid === pid),
    false,
  );
  const suspended = await json<Vm>("vm", "get", "web");
  assert.deepEqual([suspended.state, suspended.pid], ["suspended", undefined]);
  assert.equal(await sh("web", "cat /root/state; echo $STAGE"), "good\ntest\n");
  assert.equal((await fixture.client.vms.get("web")).origin, "suspension");
  const count = await last("web", counter);
  await sleep(500);
  assert.ok((await last("web", counter)) > count);
  await ok("vm", "suspend", "web");
  await ok("vm", "cp", "web:/root/state", path.join(fixture.folder, "state"));
  assert.equal(await readFile(path.join(fixture.folder, "state"), "utf8"), "good\n");
  await ok("vm", "suspend", "web");
  await ok("vm", "resume", "web");
  await ok("vm", "kill", "web", counter);
});

test("a VM that nobody uses is suspended after its idle timeout, and no command is cut off by it", async () => {
  await ok("vm", "create", "lazy", "--idle-timeout", "1s");
  assert.match((await ok("vm", "get", "lazy")).stdout, /idle timeout +1 s/);
  await sh("lazy", "echo kept > /dev/shm/memory");
  await waitForState("lazy", "suspended");
  // Longer than the timeout, from a VM that has to be brought back for it.
  assert.equal(await sh("lazy", "sleep 3; cat /dev/shm/memory"), "kept\n");
  await waitForState("lazy", "suspended");
  const id = await startCounter("lazy");
  await sleep(2500);
  assert.equal((await fixture.client.vms.get("lazy")).state, "running", "what runs in the background is a use");
  await ok("vm", "kill", "lazy", id);
  await ok("vm", "delete", "lazy");
});

test("a daemon that is killed loses no suspended VM, no paused one and no snapshot", async () => {
  await ok("snapshot", "create", "web", "kept");
  await ok("vm", "create", "asleep");
  await sh("asleep", "echo dreaming > /dev/shm/memory");
  await ok("vm", "suspend", "asleep");
  await ok("vm", "create", "still");
  await ok("vm", "pause", "still");
  const { pid } = await fixture.client.status();
  process.kill(pid, "SIGKILL");
  // On a busy machine a process takes a moment to end, and its socket with it.
  while ((await listProcesses(fixture.folder)).some((process) => process.pid === pid)) await sleep(50);
  await ok("daemon", "start");
  const states = (await fixture.client.vms.list()).map(({ name, state }) => [name, state]).sort();
  assert.deepEqual(states, [
    ["asleep", "suspended"],
    ["still", "paused"],
    ["web", "running"],
  ]);
  await ok("vm", "resume", "still");
  assert.equal(await sh("still", "hostname"), "still\n");
  assert.equal(await sh("asleep", "cat /dev/shm/memory"), "dreaming\n");
  await sh("web", "echo bad > /root/state");
  await ok("snapshot", "restore", "kept");
  assert.equal(await sh("web", "cat /root/state"), "good\n");
  await ok("snapshot", "delete", "--all");
  await ok("vm", "delete", "asleep", "still");
});

test("a stop of a suspended VM keeps its disk, and it boots from there", async () => {
  await sh("web", "sync");
  await ok("vm", "suspend", "web");
  await ok("vm", "stop", "web");
  assert.equal((await json<Vm>("vm", "start", "web")).origin, "boot");
  assert.equal(await sh("web", "cat /root/state"), "good\n");
});

test("templates are deleted and made again", async () => {
  assert.match((await ok("template", "prune")).stderr, /nothing to delete/);
  const { pruned } = await json<{ pruned: Template[] }>("template", "prune", "--all");
  assert.equal(pruned.length, 1);
  assert.equal(await sh("web", "hostname"), "web\n");
  await ok("run", "--", "true");
  const { templates } = await json<{ templates: Template[] }>("template", "list");
  assert.equal(templates[0]?.id, pruned[0]?.id);
  await ok("template", "delete", templates[0]?.id ?? "");
  assert.match((await cli("template", "list")).stdout, /No templates/);
  await refused("TEMPLATE_NOT_FOUND", "template", "delete", templates[0]?.id ?? "");
});
