import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError, isHostDiskFull } from "../../src/errors/firebreak-error.ts";
import { overlayPath } from "../../src/vms/machine.ts";
import type { NetworkHooks } from "../../src/vms/ports.ts";
import type { VmRecord } from "../../src/vms/vm-store.ts";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";
import { waitFor } from "../support/wait-for.ts";

let service: ReturnType<typeof openVmService>;
beforeEach(() => {
  service = openVmService();
});
afterEach(() => service.close());

test("a created VM runs, and its history says how it came to", async () => {
  const vm = await service.create("one");
  assert.deepEqual([vm.state, vm.name], ["running", "one"]);
  assert.deepEqual(
    service.vms.events({ vm: "one" }).map((event) => event.kind),
    ["created", "starting", "running"],
  );
});

test("a start that fails leaves nothing of a new VM", async () => {
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  await assert.rejects(service.create("one"), hasCode("VMM_START_FAILED"));
  assert.deepEqual(service.vms.list(), []);
  assert.deepEqual(readdirSync(service.paths.vms), []);
});

test("of two creations with one name one wins, and the other leaves nothing", async () => {
  const outcomes = await Promise.allSettled([service.create("same"), service.create("same")]);
  assert.deepEqual(outcomes.map((outcome) => outcome.status).sort(), ["fulfilled", "rejected"]);
  assert.equal(service.vms.list().length, 1);
  assert.equal(readdirSync(service.paths.vms).length, 1);
});

test("a VM is deleted once, however many ask at once", async () => {
  await service.create("one");
  const outcomes = await Promise.allSettled([
    service.vms.delete("one"),
    service.vms.delete("one"),
    service.vms.delete("one"),
  ]);
  assert.ok(outcomes.every((outcome) => outcome.status === "fulfilled"));
  assert.deepEqual(service.vms.list(), []);
});

test("stop, start and delete at once end in order, and nothing is left", async () => {
  await service.create("one");
  await Promise.allSettled([service.vms.stop("one", 100), service.vms.start("one"), service.vms.delete("one")]);
  assert.deepEqual(service.vms.list(), []);
  assert.deepEqual(readdirSync(path.join(service.paths.runtime, "v")), []);
});

test("a policy that cannot be enforced is not said to be a VM's", async () => {
  await service.close();
  const network: NetworkHooks = {
    check: () => {},
    environmentOf: () => ({}),
    trustOf: async () => undefined,
    exposedIn: () => [],
    hasUserCard: () => false,
    isSavable: () => true,
    valuesFor: () => ({ mode: "none", reason: "a test" }),
    open: () => {},
    plug: async () => undefined,
    unplug: async () => {},
    ready: async () => {},
    enforce: async () => {
      throw new FirebreakError("NETWORK_SETUP_FAILED", "no rules");
    },
    traffic: async () => undefined,
    forget: () => {},
  };
  service = openVmService({ network });
  const { id } = await service.create("one");
  const set = service.vms.setPolicy("one", { mode: "allowlist", allow: ["web.test"] }, [{ name: "TOKEN" }]);
  await assert.rejects(set, hasCode("NETWORK_SETUP_FAILED"));
  const record = service.store.get(id);
  assert.deepEqual([record?.policy, record?.secrets], [{ mode: "none" }, []]);
  assert.deepEqual(service.vms.events({ vm: "one" }).at(-1)?.data, {
    from: "allowlist",
    to: "none",
    reason: "no rules",
  });
});

test("a VM whose disk fills the host's is deleted, though nothing can be noted before its files have gone", async () => {
  const { id } = await service.create("one");
  const { store, paths } = service;
  for (const write of ["note", "update", "remove"] as const) {
    const really = store[write].bind(store) as (...args: unknown[]) => never;
    store[write] = (...args: unknown[]) => {
      const isFull = existsSync(path.join(paths.vms, id)) || existsSync(path.join(paths.trash, id));
      if (isFull) throw new FirebreakError("HOST_DISK_FULL", "no space");
      return really(...args);
    };
  }
  await service.vms.delete("one");
  assert.deepEqual(service.vms.list(), []);
});

test("on a full disk VMs are stopped, end and fail to start as ever, and that is written when there is space", async () => {
  const names = ["stopped", "killed", "deleted"];
  for (const name of names) await service.create(name, { memoryMib: 128 });
  await service.create("off", { memoryMib: 128 });
  await service.vms.stop("off", 0);
  const waiting = service.vms.wait("stopped", ["stopped"], {});
  service.setDiskFull(true);
  assert.equal((await service.vms.stop("stopped", 0)).state, "stopped");
  assert.equal((await waiting).state, "stopped");
  process.kill(service.vms.get("killed").pid as number, "SIGKILL");
  await waitFor(() => service.vms.get("killed").state === "crashed");
  await assert.rejects(service.vms.start("off"), isHostDiskFull);
  // Its row cannot go, and says so: it is no VM that runs.
  await assert.rejects(service.vms.delete("deleted"), isHostDiskFull);
  const { state, pid } = service.vms.get("deleted");
  assert.deepEqual([state, pid], ["deleting", undefined]);
  const told = service.vms.list().map((vm) => [vm.name, vm.state, vm.pid]);
  assert.equal(
    service.vms.events({ vm: "stopped" }).some(({ kind }) => kind === "stopped"),
    false,
  );
  service.setDiskFull(false);
  await waitFor(() => service.vms.events({ vm: "stopped" }).some(({ kind }) => kind === "stopped"));
  assert.deepEqual(
    service.vms.events({ vm: "killed" }).map(({ kind }) => kind),
    ["created", "starting", "running", "crashed"],
  );
  await service.restart();
  assert.deepEqual(
    service.vms.list().map((vm) => [vm.name, vm.state, vm.pid]),
    told.filter(([name]) => name !== "deleted"),
    "the new daemon finds what was told, and finishes the deletion",
  );
  assert.equal((await service.vms.start("stopped")).state, "running");
});

test("a VMM that dies makes its VM crashed, with the reason, and it starts again", async () => {
  const vm = await service.create("one");
  process.kill(vm.pid as number, "SIGKILL");
  await waitFor(() => service.vms.get("one").state === "crashed");
  assert.match(service.vms.get("one").reason ?? "", /the fake VMM ended/);
  assert.equal((await service.vms.start("one")).state, "running");
});

test("a stopped VM that cannot be started stays stopped, with the reason", async () => {
  await service.create("one");
  await service.vms.stop("one", 0);
  service.driver.startError = new FirebreakError("NETWORK_NOT_SET_UP", "no network");
  await assert.rejects(service.vms.start("one"), hasCode("NETWORK_NOT_SET_UP"));
  const { state, reason } = service.vms.get("one");
  assert.deepEqual([state, reason], ["stopped", "no network"]);
  assert.equal(service.vms.events({ vm: "one" }).at(-1)?.kind, "start_failed");
  service.driver.startError = undefined;
  assert.equal((await service.vms.start("one")).reason, undefined);
});

test("a VM whose disk is gone is not started with an empty one", async () => {
  await service.create("one");
  await service.vms.stop("one", 0);
  rmSync(overlayPath(service.store.find("one") as VmRecord, service.paths));
  await assert.rejects(service.vms.start("one"), { message: "the disk of the VM 'one' is gone" });
  assert.deepEqual(
    [service.vms.get("one").state, service.vms.get("one").reason],
    ["stopped", "the disk of the VM 'one' is gone"],
  );
});

test("a new daemon adopts a running VM with its process and its channel", async () => {
  const vm = await service.create("one");
  await service.restart();
  assert.equal(service.vms.get("one").pid, vm.pid);
  assert.equal((await service.vms.live("one").client.hello()).generation, 1);
});

test("a new daemon names a VM that died while none ran", async () => {
  const vm = await service.create("one");
  service.vms.close();
  process.kill(vm.pid as number, "SIGKILL");
  await sleep(50);
  await service.restart();
  const found = service.vms.get("one");
  assert.deepEqual([found.state, found.reason], ["crashed", "its VMM ended while no daemon ran"]);
});

test("a new daemon undoes a start that was cut off, whether its VMM was noted or not", async () => {
  const vm = await service.create("one");
  const record = service.store.get(vm.id);
  service.leaveIn(vm.id, "starting");
  service.store.update(vm.id, { vmm: undefined });
  await service.restart();
  assert.equal(service.vms.get("one").state, "crashed");
  assert.equal(record?.vmm !== undefined && (await service.driver.isAlive(record.vmm)), false);
  service.store.update(vm.id, { state: "starting" });
  await service.restart();
  assert.equal((await service.vms.start("one")).state, "running");
});

test("a new daemon finishes a deletion, and deletes the VMs of runs", async () => {
  const one = await service.create("one");
  service.store.update(one.id, { state: "deleting" });
  const two = await service.create("two");
  service.store.update(two.id, { ephemeral: true });
  await service.restart();
  assert.deepEqual(service.vms.list(), []);
  assert.equal(existsSync(path.join(service.paths.vms, one.id)), false);
});

test("no two VMs run as the same user", async () => {
  const vms = await Promise.all([service.create(), service.create(), service.create()]);
  const uids = vms.map((vm) => service.store.get(vm.id)?.uid);
  assert.equal(new Set(uids).size, 3);
});

test("a VM that the host has no memory for is refused with the figures", async () => {
  const { vmCreateSchema } = await import("../../src/contract/vm.ts");
  const request = vmCreateSchema.parse({ memoryMib: 1024 * 1024 });
  await assert.rejects(
    service.vms.create(request),
    (error: unknown) => hasCode("VM_MEMORY_EXHAUSTED")(error) && /MiB/.test((error as Error).message),
  );
});

test("VMs that are started at once, or wait for memory together, share what there is, and a snapshot counts while it is saved", async () => {
  const free = { mib: 1_300 };
  const readHost = () => ({ totalMib: 2_000, freeMib: free.mib });
  const small = openVmService({ memory: { readHost, overcommit: () => 1 } });
  try {
    // The fake guests take next to nothing: what they were promised is kept for them.
    const ask = (more: object = {}) => small.create(undefined, { memoryMib: 512, ...more });
    const answers = await Promise.allSettled([ask(), ask(), ask()]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"]);
    const refused = answers.find((answer) => answer.status === "rejected")?.reason;
    assert.ok(hasCode("VM_MEMORY_EXHAUSTED")(refused));
    assert.ok(refused.details.keptMib > 900 && refused.details.availableMib === 1_300, JSON.stringify(refused.details));

    const [first, second] = small.vms.list();
    await assert.rejects(small.snapshots.create(first?.id ?? "", "s", {}), hasCode("VM_MEMORY_EXHAUSTED"));
    const waiting = [ask({ admissionWaitMs: 60_000 }), ask({ admissionWaitMs: 60_000 })];
    await small.vms.delete(first?.id ?? "");
    const third = await Promise.race(waiting);
    assert.equal(small.vms.list().length, 2);
    await small.vms.stop(second?.id ?? "", 0);
    await Promise.all(waiting);
    await assert.rejects(small.vms.start(second?.id ?? ""), hasCode("VM_MEMORY_EXHAUSTED"));
    assert.equal(small.vms.get(second?.id ?? "").state, "stopped");
    // What failed, or has ended, keeps nothing.
    await small.vms.stop(third.id, 0);
    assert.equal((await small.vms.start(second?.id ?? "")).state, "running");
  } finally {
    await small.close();
  }
});
