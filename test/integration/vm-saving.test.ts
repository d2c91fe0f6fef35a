import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { VmState } from "../../src/contract/vm.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { VmRecord } from "../../src/vms/vm-store.ts";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";

let service: ReturnType<typeof openVmService>;
beforeEach(() => {
  service = openVmService();
});
afterEach(() => service.close());

const record = (name: string) => service.store.find(name) as VmRecord;
const drive = (name: string) => path.join(service.paths.vms, record(name).id, "overlay.ext4");
const suspension = (name: string) => path.join(service.paths.vms, record(name).id, "suspension");
const hello = (name: string) => service.vms.use(name, {}, ({ client }) => client.hello());
const entries = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
const saveFailure = new FirebreakError("SNAPSHOT_FAILED", "the VMM does not want to");

// --- templates ---

test("VMs of one kind share a template, made by the first; the second waits for it", async () => {
  const vms = await Promise.all([service.create("one"), service.create("two"), service.create("three")]);
  assert.deepEqual(
    vms.map((vm) => vm.origin),
    ["template", "template", "template"],
  );
  assert.equal(service.driver.started.length, 1, "one boot");
  assert.equal(service.driver.restored.length, 3);
  assert.equal(entries(service.paths.templates).length, 1);
});

test("another memory, disk or number of vCPUs is another template; a larger disk is the same", async () => {
  await service.create("one");
  await service.create("two", { diskMib: 4096 });
  assert.equal(entries(service.paths.templates).length, 1);
  await service.create("three", { memoryMib: 256 });
  await service.create("four", { cpus: 2 });
  await service.create("five", { diskMib: 512 });
  assert.equal(entries(service.paths.templates).length, 4);
});

test("a template that cannot be made fails all who wait for it, and the next who asks tries again", async () => {
  service.driver.saveError = saveFailure;
  const outcomes = await Promise.allSettled([service.create("one"), service.create("two")]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === "rejected" && hasCode("SNAPSHOT_FAILED")(outcome.reason)),
    [true, true],
  );
  assert.deepEqual([service.vms.list(), entries(service.paths.templates)], [[], []]);
  service.driver.saveError = undefined;
  assert.equal((await service.create("one")).state, "running");
});

test("a template whose drive, state or memory is not what was saved is made anew", async () => {
  for (const [file, isNoticedBy] of [
    ["overlay.ext4", "another daemon"],
    ["state", "the driver"],
    ["memory", "the driver"],
  ] as const) {
    const starts = service.driver.started.length;
    await service.create(`before-${starts}`);
    const template = path.join(service.paths.templates, entries(service.paths.templates)[0] as string);
    const bytes = readFileSync(path.join(template, file));
    bytes[0] = (bytes[0] as number) ^ 1;
    writeFileSync(path.join(template, file), bytes);
    if (isNoticedBy === "another daemon") await service.restart();
    const made = service.driver.started.length;
    const vm = await service.create(`after-${starts}`);
    assert.equal(vm.state, "running", file);
    assert.equal(service.driver.started.length, made + 1, `${file}: one boot`);
    assert.equal(entries(service.paths.templates).length, 1, file);
  }
});

test("a boot that is asked for needs no template", async () => {
  assert.deepEqual([(await service.create("one", { cold: true })).origin], ["boot"]);
  assert.deepEqual(entries(service.paths.templates), []);
});

test("a template of another host is not used, and is stale", async () => {
  await service.create("one");
  const specOf = async () => undefined;
  assert.deepEqual(
    (await service.templates.list(specOf)).map((template) => template.isStale),
    [true],
    "its image is gone",
  );
  service.driver.traits = { vmm: "fake 2.0.0" };
  await service.create("two");
  assert.equal(entries(service.paths.templates).length, 2);
  assert.equal(service.driver.started.length, 2);
});

test("a pruned template is gone from the disk; VMs that came from it go on", async () => {
  await service.create("one");
  assert.equal((await service.templates.prune(false, async () => undefined)).length, 1);
  assert.deepEqual(entries(service.paths.templates), []);
  assert.equal((await hello("one")).generation, 1);
  await service.vms.suspend("one");
  await hello("one");
});

// --- snapshots ---

test("a snapshot leaves its VM running and is found by name and id", async () => {
  const { pid, id } = await service.create("one");
  const taken = await service.snapshots.create("one", "warm");
  assert.deepEqual([taken.name, taken.vm], ["warm", { id, name: "one" }]);
  assert.deepEqual(await service.snapshots.get("warm"), await service.snapshots.get(taken.id));
  assert.deepEqual([service.vms.get("one").state, service.vms.get("one").pid], ["running", pid]);
  assert.equal((await hello("one")).generation, 1);
});

test("a snapshot without a name gets one of its VM's, however long that is", async () => {
  const name = "x".repeat(63);
  await service.create(name);
  const first = await service.snapshots.create(name, undefined);
  const second = await service.snapshots.create(name, undefined);
  assert.notEqual(first.name, second.name);
  for (const taken of [first, second]) {
    assert.match(taken.name, /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
    assert.equal((await service.snapshots.get(taken.name)).id, taken.id);
  }
});

test("a name is taken once, also by two at once, and is free again after a deletion or a failure", async () => {
  await service.create("one");
  const outcomes = await Promise.allSettled([
    service.snapshots.create("one", "warm"),
    service.snapshots.create("one", "warm"),
  ]);
  assert.deepEqual(outcomes.map((outcome) => outcome.status).sort(), ["fulfilled", "rejected"]);
  await assert.rejects(service.snapshots.create("one", "warm"), hasCode("SNAPSHOT_ALREADY_EXISTS"));
  await service.snapshots.delete("warm");
  service.driver.saveError = saveFailure;
  await assert.rejects(service.snapshots.create("one", "warm"), hasCode("SNAPSHOT_FAILED"));
  service.driver.saveError = undefined;
  await service.snapshots.create("one", "warm");
  assert.equal((await service.snapshots.list()).length, 1);
});

test("a snapshot that fails leaves its VM running and nothing on the disk", async () => {
  await service.create("one");
  service.driver.saveError = saveFailure;
  await assert.rejects(service.snapshots.create("one", "warm"), hasCode("SNAPSHOT_FAILED"));
  assert.equal((await hello("one")).generation, 1);
  assert.deepEqual(entries(service.paths.snapshots), []);
  assert.equal(service.vms.get("one").snapshot, undefined);
});

test("only what runs, is paused or is brought back has a state to save", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  await service.snapshots.create("one", "of-a-suspended-one");
  assert.equal(service.vms.get("one").state, "running");
  await service.vms.pause("one");
  await service.snapshots.create("one", "of-a-paused-one");
  assert.equal(service.vms.get("one").state, "paused");
  await service.vms.stop("one", 0);
  await assert.rejects(service.snapshots.create("one", "x"), hasCode("VM_STATE_CONFLICT"));
  await assert.rejects(service.snapshots.create("none", "x"), hasCode("VM_NOT_FOUND"));
});

test("the chain of parents follows restores and forks, and ends where one was deleted", async () => {
  await service.create("one");
  const first = await service.snapshots.create("one", "first");
  const second = await service.snapshots.create("one", "second");
  assert.equal(second.parent, first.id);
  await service.snapshots.restore("first");
  const branch = await service.snapshots.create("one", "branch");
  assert.equal(branch.parent, first.id);
  await service.snapshots.fork("second", { name: "two" });
  const third = await service.snapshots.create("two", "third");
  const chain = async () => (await service.snapshots.ancestors("third")).map((snapshot) => snapshot.name);
  assert.equal(third.parent, second.id);
  assert.deepEqual(await chain(), ["second", "first"]);
  await service.snapshots.delete("second");
  assert.deepEqual(await chain(), []);
});

test("a chain that a hand-made manifest closes to a ring ends", async () => {
  await service.create("one");
  const first = await service.snapshots.create("one", "first");
  const second = await service.snapshots.create("one", "second");
  const file = path.join(service.paths.snapshots, first.id, "manifest.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), parent: second.id }));
  assert.deepEqual(
    (await service.snapshots.ancestors("second")).map((snapshot) => snapshot.name),
    ["first", "second"],
  );
});

test("a fork has the drive as it was, a new name and id, and the environment of its origin", async () => {
  const one = await service.create("one", { env: { COLOUR: "blue" } });
  writeFileSync(drive("one"), "then");
  await service.snapshots.create("one", "warm");
  writeFileSync(drive("one"), "later");
  const two = await service.snapshots.fork("warm", { name: "two" });
  assert.notEqual(two.id, one.id);
  assert.deepEqual([two.origin, readFileSync(drive("two"), "utf8")], ["snapshot", "then"]);
  assert.deepEqual(record("two").env, { COLOUR: "blue" });
  assert.notEqual(record("two").uid, record("one").uid);
  await assert.rejects(service.snapshots.fork("warm", { name: "two" }), hasCode("VM_ALREADY_EXISTS"));
});

test("a fork with a smaller disk is refused", async () => {
  await service.create("one", { diskMib: 1024 });
  await service.snapshots.create("one", "warm");
  await assert.rejects(service.snapshots.fork("warm", { diskMib: 512 }), hasCode("INVALID_ARGUMENT"));
  await assert.rejects(service.snapshots.forkVm("one", { diskMib: 512 }), hasCode("INVALID_ARGUMENT"));
  assert.deepEqual(entries(service.paths.snapshots).length, 1, "nothing of the fork that was refused is left");
  assert.equal(service.vms.list().length, 1);
});

test("a fork of a running VM takes a snapshot that is gone afterwards, also when the fork fails", async () => {
  await service.create("one");
  writeFileSync(drive("one"), "now");
  const two = await service.snapshots.forkVm("one", { name: "two" });
  assert.equal(readFileSync(drive("two"), "utf8"), "now");
  assert.deepEqual(entries(service.paths.snapshots), []);
  assert.deepEqual([two.snapshot, service.vms.get("one").snapshot], [undefined, undefined]);
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  await assert.rejects(service.snapshots.forkVm("one", { name: "three" }), hasCode("VMM_START_FAILED"));
  await assert.rejects(service.snapshots.forkVm("one", { name: "two" }), hasCode("VM_ALREADY_EXISTS"));
  assert.deepEqual(entries(service.paths.snapshots), []);
  assert.equal(service.vms.list().length, 2);
});

test("a restore brings the VM back as it was then, whatever it is now", async () => {
  const { id } = await service.create("one");
  writeFileSync(drive("one"), "then");
  await service.snapshots.create("one", "warm");
  const states: [VmState, () => Promise<unknown>][] = [
    ["running", async () => {}],
    ["paused", () => service.vms.pause("one")],
    ["suspended", () => service.vms.suspend("one")],
    ["stopped", () => service.vms.stop("one", 0)],
  ];
  for (const [state, reach] of states) {
    await reach();
    assert.equal(service.vms.get("one").state, state);
    writeFileSync(drive("one"), `of the ${state} one`);
    const vm = await service.snapshots.restore("warm");
    assert.deepEqual([vm.id, vm.state, vm.origin], [id, "running", "snapshot"], state);
    assert.equal(readFileSync(drive("one"), "utf8"), "then", state);
    assert.equal((await hello("one")).generation, 1);
    assert.deepEqual(entries(suspension("one")), [], "nothing of an older state is left");
  }
});

test("a VM that has been deleted is made again, under its name and id", async () => {
  const { id } = await service.create("one", { env: { A: "b" } });
  writeFileSync(drive("one"), "then");
  const taken = await service.snapshots.create("one", "warm");
  await service.vms.delete("one");
  const vm = await service.snapshots.restore("warm");
  assert.deepEqual([vm.id, vm.name, vm.snapshot], [id, "one", taken.id]);
  assert.equal(readFileSync(drive("one"), "utf8"), "then");
  assert.deepEqual(record("one").env, { A: "b" });
});

test("a VM that has been deleted is not made again over another of its name", async () => {
  await service.create("one");
  await service.snapshots.create("one", "warm");
  await service.vms.delete("one");
  await service.create("one");
  await assert.rejects(service.snapshots.restore("warm"), hasCode("VM_ALREADY_EXISTS"));
  assert.equal((await hello("one")).generation, 1);
});

test("a snapshot that is not whole, or of another host, is refused before the VM is given up", async () => {
  const { pid } = await service.create("one");
  const { id } = await service.snapshots.create("one", "warm");
  const untouched = async () => {
    assert.deepEqual([service.vms.get("one").state, service.vms.get("one").pid], ["running", pid]);
    assert.equal((await hello("one")).generation, 1);
  };
  service.driver.traits = { vmm: "fake 2.0.0" };
  await assert.rejects(service.snapshots.restore("warm"), hasCode("SNAPSHOT_INCOMPATIBLE"));
  await assert.rejects(service.snapshots.fork("warm", { name: "two" }), hasCode("SNAPSHOT_INCOMPATIBLE"));
  await untouched();
  service.driver.traits = { vmm: "fake 1.0.0" };
  for (const file of ["overlay.ext4", "state", "memory"]) {
    const whole = readFileSync(path.join(service.paths.snapshots, id, file));
    const harmed = Buffer.from(whole);
    harmed[0] = (harmed[0] as number) ^ 1;
    writeFileSync(path.join(service.paths.snapshots, id, file), harmed);
    await assert.rejects(service.snapshots.fork("warm", { name: "two" }), hasCode("SNAPSHOT_CORRUPT"), file);
    assert.equal(service.vms.list().length, 1);
    await assert.rejects(service.snapshots.restore("warm"), hasCode("SNAPSHOT_CORRUPT"), file);
    await untouched();
    writeFileSync(path.join(service.paths.snapshots, id, file), whole);
  }
  await service.snapshots.fork("warm", { name: "two" });
});

test("a restore that fails leaves a VM that says why, and can be tried again", async () => {
  await service.create("one");
  await service.snapshots.create("one", "warm");
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  await assert.rejects(service.snapshots.restore("warm"), hasCode("VMM_START_FAILED"));
  assert.deepEqual([service.vms.get("one").state, service.vms.get("one").reason], ["crashed", "no"]);
  service.driver.startError = undefined;
  assert.equal((await service.snapshots.restore("warm")).state, "running");
});

test("one that is not whole is listed nowhere, called so by its name, and can be deleted", async () => {
  await service.create("one");
  const { id } = await service.snapshots.create("one", "warm");
  rmSync(path.join(service.paths.snapshots, id, "memory"));
  assert.deepEqual(await service.snapshots.list(), []);
  await assert.rejects(service.snapshots.get("warm"), hasCode("SNAPSHOT_CORRUPT"));
  await assert.rejects(service.snapshots.get(id), hasCode("SNAPSHOT_CORRUPT"));
  assert.deepEqual(await service.snapshots.delete("warm"), { id, name: "warm" });
  assert.deepEqual(entries(service.paths.snapshots), []);
});

test("a snapshot is deleted once, after those that are brought up from it; who comes later does not find it", async () => {
  await service.create("one");
  await service.snapshots.create("one", "warm");
  const forks = ["two", "three", "four", "five"];
  const outcomes = await Promise.allSettled([
    ...forks.map((name) => service.snapshots.fork("warm", { name })),
    service.snapshots.restore("warm"),
    service.snapshots.delete("warm"),
    service.snapshots.delete("warm"),
  ]);
  const codes = outcomes.map((outcome) => (outcome.status === "fulfilled" ? "done" : outcome.reason.code));
  for (const code of codes) assert.match(code, /^(done|SNAPSHOT_NOT_FOUND)$/);
  assert.equal(codes.slice(-2).filter((code) => code === "done").length, 1, "one deletion");
  assert.deepEqual(entries(service.paths.snapshots), []);
  const there = service.vms.list().filter(({ state }) => state === "running");
  const made = forks.filter((_, index) => codes[index] === "done");
  assert.deepEqual(there.map(({ name }) => name).sort(), ["one", ...made].sort());
});

test("a snapshot that is deleted while VMs run from it takes nothing from them", async () => {
  await service.create("one");
  await service.snapshots.create("one", "warm");
  await service.snapshots.fork("warm", { name: "two" });
  await service.snapshots.delete("warm");
  assert.equal((await hello("two")).generation, 1);
  await service.vms.stop("two", 0);
  assert.equal((await service.vms.start("two")).state, "running");
});
