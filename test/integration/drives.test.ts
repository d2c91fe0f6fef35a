import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";
import { waitFor } from "../support/wait-for.ts";

/** Drives on the fake driver: who may have what, and what is left when a daemon dies. */
let service: ReturnType<typeof openVmService>;
beforeEach(() => {
  service = openVmService();
});
afterEach(() => service.close());

const attachedTo = async (name: string) => {
  const { attachments } = await service.drives.get(name);
  return attachments.map(({ vm, state, readOnly }) => `${vm.name} ${state}${readOnly ? " ro" : ""}`);
};
const pluggedIn = (vm: string) => {
  const { pid } = service.vms.get(vm);
  return (service.driver.attached.get(pid as number) ?? []).map(({ slot }) => slot).sort();
};
const mib = 2 ** 20;

test("a drive is as large as asked, takes next to nothing of the host's disk, and is gone when it is deleted", async () => {
  const drive = await service.drives.create({ name: "data", sizeMib: 1024 });
  assert.deepEqual([drive.format, drive.sizeMib, drive.attachments], ["ext4", 1024, []]);
  assert.ok(drive.usedBytes < 8 * mib);
  const file = path.join(service.paths.drives, `${drive.id}.img`);
  assert.equal((await stat(file)).size, 1024 * mib);
  await utimes(file, 1_000, 1_000);
  assert.equal((await service.drives.get("data")).changedAt, new Date(1_000_000).toISOString());
  const blank = await service.drives.create({ name: "blank", format: "raw" });
  assert.deepEqual([blank.format, blank.sizeMib, blank.usedBytes], ["raw", 64, 0]);
  assert.deepEqual(
    (await service.drives.list("ext4")).map(({ name }) => name),
    ["data"],
  );
  await assert.rejects(service.drives.get("blank", "ext4"), hasCode("DRIVE_NOT_FOUND"));
  await service.drives.delete("data");
  assert.equal(existsSync(file), false);
  await assert.rejects(service.drives.get("data"), hasCode("DRIVE_NOT_FOUND"));
});

test("two who want the same name at once: one has it", async () => {
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => service.drives.create({ name: "same" })));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes)
    if (outcome.status === "rejected") assert.ok(hasCode("DRIVE_ALREADY_EXISTS")(outcome.reason));
});

test("one VM writes to a drive, however many ask at once; read-only, several have it", async () => {
  await service.drives.create({ name: "data" });
  for (const name of ["one", "two", "three"]) await service.create(name);
  const attach = (vm: string, readOnly: boolean) => service.drives.attach(vm, { drive: "data", readOnly });
  const outcomes = await Promise.allSettled(["one", "two", "three"].map((vm) => attach(vm, false)));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes) if (outcome.status === "rejected") assert.ok(hasCode("DRIVE_IN_USE")(outcome.reason));
  const [holder = ""] = (await attachedTo("data")).map((words) => words.split(" ")[0] as string);
  await assert.rejects(attach(holder, false), hasCode("DRIVE_IN_USE"));
  await assert.rejects(service.drives.delete("data"), hasCode("DRIVE_IN_USE"));
  await service.drives.detach(holder, "data", false);
  await Promise.all([attach("one", true), attach("two", true)]);
  await assert.rejects(attach("three", false), hasCode("DRIVE_IN_USE"));
  await assert.rejects(service.drives.grow("data", 128), hasCode("DRIVE_IN_USE"));
  assert.deepEqual(await attachedTo("data"), ["one attached ro", "two attached ro"]);
});

test("a VM tells what drives it has, alone and among others, until they are detached", async () => {
  await service.create("web");
  await service.create("bare");
  const data = await service.drives.create({ name: "data" });
  const blank = await service.drives.create({ name: "blank", format: "raw" });
  await service.drives.attach("web", { drive: "data", path: "/data", readOnly: true });
  await service.drives.attach("web", { drive: "blank" });
  const shown = [
    { id: blank.id, name: "blank", format: "raw", readOnly: false, state: "attached" },
    { id: data.id, name: "data", format: "ext4", path: "/data", readOnly: true, state: "attached" },
  ];
  const sorted = (name: string) => service.vms.get(name).drives.sort((a, b) => a.name.localeCompare(b.name));
  assert.deepEqual(sorted("web"), shown);
  assert.deepEqual(service.vms.list().find(({ name }) => name === "bare")?.drives, []);
  // What a stopped VM is to have it still has.
  await service.vms.stop("web", 0);
  assert.deepEqual(sorted("web"), shown);
  await service.drives.detach("web", "data", false);
  assert.deepEqual(sorted("web"), shown.slice(0, 1));
});

test("a store that two daemons had open would give a drive to one VM only", async () => {
  const { id } = await service.drives.create({ name: "data" });
  const [one, two] = [await service.create("one"), await service.create("two")];
  const wanted = { driveId: id, readOnly: false, state: "attached" as const };
  service.driveStore.attach({ ...wanted, vmId: one.id });
  assert.throws(() => service.driveStore.attach({ ...wanted, vmId: two.id }), hasCode("DRIVE_IN_USE"));
  assert.throws(
    () => service.driveStore.attach({ ...wanted, driveId: "none", vmId: two.id }),
    hasCode("DRIVE_NOT_FOUND"),
  );
  const other = await service.drives.create({ name: "other" });
  assert.throws(
    () => service.driveStore.attach({ ...wanted, driveId: other.id, vmId: "none" }),
    hasCode("VM_NOT_FOUND"),
  );
});

test("each drive of a VM has a place of its own, there are sixteen, and no two are mounted at one path", async () => {
  await service.create("one");
  for (let count = 0; count < 17; count++) await service.drives.create({ name: `d${count}`, format: "raw" });
  for (let count = 0; count < 16; count++) await service.drives.attach("one", { drive: `d${count}` });
  assert.equal(new Set(pluggedIn("one")).size, 16);
  await assert.rejects(service.drives.attach("one", { drive: "d16" }), hasCode("DRIVE_LIMIT"));
  await service.drives.detach("one", "d7", false);
  await service.drives.attach("one", { drive: "d16", path: "/mnt/x" });
  assert.equal(new Set(pluggedIn("one")).size, 16);
  await service.drives.detach("one", "d3", false);
  await assert.rejects(service.drives.attach("one", { drive: "d3", path: "/mnt/x" }), hasCode("DRIVE_BUSY"));
});

test("a VM that fails to get a drive does not have it", async () => {
  await service.create("one");
  await service.drives.create({ name: "data" });
  service.driver.onDrive = () => Promise.reject(new FirebreakError("VMM_PROTOCOL_ERROR", "no"));
  await assert.rejects(service.drives.attach("one", { drive: "data" }), hasCode("VMM_PROTOCOL_ERROR"));
  // What could not be taken back either is gone with the VM's next start.
  service.driver.onDrive = async () => {};
  await service.vms.stop("one", 0);
  await service.vms.start("one");
  assert.deepEqual(await attachedTo("data"), []);
});

test("a stopped VM is given drives for its next start, and loses them; a deleted one leaves them", async () => {
  await service.create("one");
  await service.vms.stop("one", 0);
  for (const name of ["a", "b"]) {
    await service.drives.create({ name });
    await service.drives.attach("one", { drive: name });
  }
  await service.drives.detach("one", "b", false);
  await service.vms.start("one");
  assert.deepEqual(pluggedIn("one"), [0]);
  assert.deepEqual(await attachedTo("a"), ["one attached"]);
  await service.vms.delete("one");
  assert.deepEqual(await attachedTo("a"), []);
  await service.drives.delete("a");
});

test("a VM is made with volumes, or not at all", async () => {
  await service.drives.create({ name: "data" });
  const volumes = [{ volume: "data", path: "/mnt/data" }];
  await assert.rejects(
    service.create("one", { volumes: [...volumes, { volume: "none", path: "/mnt/none" }] }),
    hasCode("DRIVE_NOT_FOUND"),
  );
  assert.deepEqual(service.vms.list(), []);
  await service.create("one", { volumes });
  assert.deepEqual(
    service.drives.ofVm("one").map(({ drive, path: place }) => [drive.name, place]),
    [["data", "/mnt/data"]],
  );
  await assert.rejects(service.create("two", { volumes }), hasCode("DRIVE_IN_USE"));
  assert.deepEqual(
    service.vms.list().map(({ name }) => name),
    ["one"],
  );
});

test("a drive grows, and does not shrink; a size that was noted before a daemon died is had in the end", async () => {
  await service.create("one");
  const { id } = await service.drives.create({ name: "data" });
  const size = async () => (await stat(path.join(service.paths.drives, `${id}.img`))).size / mib;
  assert.equal((await service.drives.grow("data", 128)).sizeMib, 128);
  assert.equal(await size(), 128);
  await assert.rejects(service.drives.grow("data", 64), hasCode("INVALID_ARGUMENT"));
  await service.drives.attach("one", { drive: "data" });
  await service.drives.grow("data", 256);
  assert.equal(await size(), 256);
  service.driveStore.update(id, { sizeMib: 512 });
  await service.restart();
  assert.equal(await size(), 512);
});

test("what a daemon was doing with drives when it died is ended by the next one", async () => {
  const vm = await service.create("one");
  for (const name of ["coming", "going", "there"]) await service.drives.create({ name });
  await service.drives.attach("one", { drive: "there" });
  await service.drives.attach("one", { drive: "going" });
  const { id: coming } = await service.drives.get("coming");
  const { id: going } = await service.drives.get("going");
  service.driveStore.attach({ driveId: coming, vmId: vm.id, readOnly: false, state: "attaching" });
  service.driveStore.change(vm.id, going, { state: "detaching" });
  // As if the VMM had none of them yet.
  service.driver.attached.clear();
  const createdAt = new Date().toISOString();
  for (const state of ["creating", "deleting"] as const) {
    const drive = { id: state.padEnd(12, "0"), name: state, state, format: "raw" as const, sizeMib: 1, createdAt };
    service.driveStore.insert(drive);
    await writeFile(path.join(service.paths.drives, `${drive.id}.img`), "");
    await writeFile(path.join(service.paths.drives, `${drive.id}.img.new`), "");
  }
  await service.restart();
  assert.deepEqual(await attachedTo("coming"), ["one attached"]);
  assert.deepEqual(await attachedTo("going"), []);
  assert.deepEqual(await attachedTo("there"), ["one attached"]);
  assert.deepEqual(pluggedIn("one"), [0, 2]);
  assert.equal((await readdir(service.paths.drives)).length, 3);
});

test("a suspended VM keeps its drives and comes back with them; whoever takes one from it brings it back", async () => {
  await service.create("one");
  await service.drives.create({ name: "data" });
  await service.drives.attach("one", { drive: "data" });
  await service.vms.suspend("one");
  await service.create("two");
  await assert.rejects(service.drives.attach("two", { drive: "data" }), hasCode("DRIVE_IN_USE"));
  await service.vms.start("one");
  assert.equal(service.driver.restored.at(-1)?.attached?.length, 1);
  await service.vms.suspend("one");
  await service.drives.detach("one", "data", false);
  assert.equal(service.vms.get("one").state, "running");
  await service.vms.suspend("one");
  await service.vms.start("one");
  assert.deepEqual(service.driver.restored.at(-1)?.attached, []);
});

test("drives are no part of a snapshot: they are away while it is taken, and a fork has none", async () => {
  await service.create("one");
  await service.drives.create({ name: "data" });
  await service.drives.attach("one", { drive: "data" });
  let during: number[] | undefined;
  service.driver.onSaved = () => {
    during = pluggedIn("one");
  };
  await service.snapshots.create("one", "taken");
  assert.deepEqual(during, []);
  assert.deepEqual(pluggedIn("one"), [0]);
  await service.snapshots.fork("taken", { name: "two" });
  assert.deepEqual([pluggedIn("two"), service.drives.ofVm("two")], [[], []]);
  await service.snapshots.restore("taken");
  assert.deepEqual(pluggedIn("one"), [0]);
  // One that stands still cannot let go.
  await service.vms.pause("one");
  await assert.rejects(service.snapshots.create("one", "still"), hasCode("DRIVE_IN_USE"));
  await assert.rejects(service.drives.detach("one", "data", false), hasCode("VM_STATE_CONFLICT"));
  await service.drives.detach("one", "data", true);
  await service.snapshots.create("one", "still");
});

test("a snapshot that fails leaves the VM its drives", async () => {
  await service.create("one");
  await service.drives.create({ name: "data" });
  await service.drives.attach("one", { drive: "data" });
  service.driver.saveError = new FirebreakError("SNAPSHOT_FAILED", "no");
  await assert.rejects(service.snapshots.create("one", "taken"), hasCode("SNAPSHOT_FAILED"));
  assert.deepEqual(pluggedIn("one"), [0]);
  assert.deepEqual(await attachedTo("data"), ["one attached"]);
});

test("a VM that is deleted while it is given a drive does not have it, and nobody waits for ever", async () => {
  const vm = await service.create("one");
  await service.drives.create({ name: "data" });
  const gate = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  service.driver.onDrive = () => {
    held.resolve();
    return gate.promise;
  };
  const attaching = service.drives.attach("one", { drive: "data" }).catch((error: unknown) => error);
  await held.promise;
  const deleting = service.vms.delete("one");
  await waitFor(async () => !(await service.driver.isAlive(service.store.get(vm.id)?.vmm ?? (vm as never))));
  gate.resolve();
  assert.ok((await attaching) instanceof Error);
  await deleting;
  assert.deepEqual(await attachedTo("data"), []);
});

test("a guest that answers nobody keeps its drive until it is taken by force, and then loses it", async () => {
  const vm = await service.create("one");
  await service.drives.create({ name: "data" });
  await service.drives.attach("one", { drive: "data" });
  process.kill(vm.pid as number, "SIGSTOP");
  await assert.rejects(
    service.drives.detach("one", "data", false),
    (error: unknown) => hasCode("GUEST_UNREACHABLE")(error) && /--force/.test((error as FirebreakError).hint ?? ""),
  );
  assert.deepEqual([await attachedTo("data"), pluggedIn("one")], [["one attached"], [0]]);
  await service.drives.detach("one", "data", true);
  assert.deepEqual([await attachedTo("data"), pluggedIn("one")], [[], []]);
  await service.create("two");
  await service.drives.attach("two", { drive: "data" });
  process.kill(vm.pid as number, "SIGCONT");
});
