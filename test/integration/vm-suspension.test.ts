import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { VmRecord } from "../../src/vms/vm-store.ts";
import { hasCode } from "../support/has-code.ts";
import { openVmService } from "../support/vm-service.ts";
import { waitFor } from "../support/wait-for.ts";

let service: ReturnType<typeof openVmService>;
beforeEach(() => {
  service = openVmService();
});
afterEach(() => service.close());

const record = (name: string) => service.store.find(name) as VmRecord;
const drive = (name: string) => path.join(service.paths.vms, record(name).id, "overlay.ext4");
const suspension = (name: string) => path.join(service.paths.vms, record(name).id, "suspension");
const hello = (name: string) => service.vms.use(name, {}, ({ client }) => client.hello());
const kinds = (name: string) => service.vms.events({ vm: name }).map((event) => event.kind);
const entries = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
const saveFailure = new FirebreakError("SNAPSHOT_FAILED", "the VMM does not want to");

// --- pause and resume ---

test("a paused VM is not used, and goes on when it is resumed", async () => {
  await service.create("one");
  assert.equal((await service.vms.pause("one")).state, "paused");
  await assert.rejects(hello("one"), hasCode("VM_STATE_CONFLICT"));
  assert.throws(() => service.vms.requireUsable("one"), hasCode("VM_STATE_CONFLICT"));
  assert.equal((await service.vms.resume("one")).state, "running");
  assert.equal((await hello("one")).generation, 1);
});

test("to pause what is paused, and to resume or start what runs, is no mistake", async () => {
  const { pid } = await service.create("one");
  await service.vms.pause("one");
  assert.equal((await service.vms.pause("one")).state, "paused");
  assert.equal((await service.vms.start("one")).state, "running", "a start resumes");
  assert.equal((await service.vms.resume("one")).pid, pid);
});

test("what does not run cannot be paused, resumed or suspended", async () => {
  await service.create("one");
  await service.vms.stop("one", 0);
  for (const act of ["pause", "resume", "suspend"] as const)
    await assert.rejects(service.vms[act]("one"), hasCode("VM_STATE_CONFLICT"), act);
  assert.equal(service.vms.get("one").state, "stopped");
});

test("a paused VM is not suspended: nobody uses it, but somebody wants it to stand still", async () => {
  await service.create("one");
  await service.vms.pause("one");
  await assert.rejects(service.vms.suspend("one"), hasCode("VM_STATE_CONFLICT"));
  assert.equal(service.vms.get("one").state, "paused");
});

test("a paused VM is stopped and deleted like any other", async () => {
  await service.create("one");
  await service.vms.pause("one");
  assert.equal((await service.vms.stop("one", 0)).state, "stopped");
  await service.create("two");
  await service.vms.pause("two");
  await service.vms.delete("two");
  assert.deepEqual(
    service.vms.list().map((vm) => vm.name),
    ["one"],
  );
});

test("a VMM that dies while its VM is paused makes it crashed", async () => {
  const vm = await service.create("one");
  await service.vms.pause("one");
  process.kill(vm.pid as number, "SIGKILL");
  await waitFor(() => service.vms.get("one").state === "crashed");
  assert.equal((await service.vms.start("one")).state, "running");
});

// --- suspend and wake ---

test("a suspended VM has no VMM, and whoever uses it brings it back where it stood", async () => {
  const { pid } = await service.create("one");
  writeFileSync(drive("one"), "what it wrote");
  const suspended = await service.vms.suspend("one");
  assert.deepEqual([suspended.state, suspended.pid], ["suspended", undefined]);
  assert.throws(() => process.kill(pid as number, 0), { code: "ESRCH" });
  assert.equal(service.vms.requireUsable("one").state, "suspended");
  assert.equal((await hello("one")).generation, 1);
  const woken = service.vms.get("one");
  assert.deepEqual([woken.state, woken.origin], ["running", "suspension"]);
  assert.equal(readFileSync(drive("one"), "utf8"), "what it wrote", "its drive is its own, not a copy of a template's");
  assert.deepEqual(entries(suspension("one")), [], "what it was saved to is used up");
  assert.deepEqual(kinds("one").slice(-4), ["suspending", "suspended", "starting", "running"]);
});

test("to peek at a VM is no use of it: one that is suspended stays so", async () => {
  await service.create("one", { idleTimeoutMs: 1_000 });
  const peek = () => service.vms.peek("one", ({ client }) => client.execList());
  // For as long as somebody only looks, it counts as idle.
  const looking = setInterval(() => void peek().catch(() => {}), 100);
  await waitFor(() => service.vms.get("one").state === "suspended");
  clearInterval(looking);
  await assert.rejects(peek(), hasCode("VM_STATE_CONFLICT"));
  assert.equal(service.vms.get("one").state, "suspended");
});

test("many uses at once bring a suspended VM back once", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  const restores = service.driver.restored.length;
  const answers = await Promise.all(Array.from({ length: 8 }, () => hello("one")));
  assert.equal(answers.length, 8);
  assert.equal(service.driver.restored.length, restores + 1);
});

test("to suspend what is suspended is no mistake; resume and start bring it back", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  assert.equal((await service.vms.suspend("one")).state, "suspended");
  assert.equal((await service.vms.resume("one")).state, "running");
  await service.vms.suspend("one");
  assert.equal((await service.vms.start("one")).state, "running");
});

test("a suspended VM that is stopped boots from its drive next, and gives up its memory", async () => {
  await service.create("one");
  writeFileSync(drive("one"), "what it wrote");
  await service.vms.suspend("one");
  assert.equal((await service.vms.stop("one", 1000)).state, "stopped");
  assert.deepEqual(entries(suspension("one")), []);
  assert.deepEqual([(await service.vms.start("one")).origin], ["boot"]);
  assert.equal(readFileSync(drive("one"), "utf8"), "what it wrote");
});

test("a suspended VM that is deleted leaves nothing", async () => {
  const { id } = await service.create("one");
  await service.vms.suspend("one");
  await service.vms.delete("one");
  assert.equal(existsSync(path.join(service.paths.vms, id)), false);
});

test("a VM whose suspension fails goes on, as does whoever uses it", async () => {
  const { pid } = await service.create("one");
  service.driver.saveError = saveFailure;
  await assert.rejects(service.vms.suspend("one"), hasCode("SNAPSHOT_FAILED"));
  const vm = service.vms.get("one");
  assert.deepEqual([vm.state, vm.pid], ["running", pid]);
  assert.equal((await hello("one")).generation, 1);
  assert.deepEqual(entries(suspension("one")), [], "nothing half made is left");
  assert.equal(kinds("one").at(-1), "suspend_failed");
  service.driver.saveError = undefined;
  assert.equal((await service.vms.suspend("one")).state, "suspended");
});

test("a VM that was saved to its end goes on when that cannot be kept", async () => {
  const { pid } = await service.create("one");
  service.driver.onSaved = ({ scratchDir }) => mkdirSync(path.join(scratchDir, "manifest.json"));
  await assert.rejects(service.vms.suspend("one"));
  assert.deepEqual([service.vms.get("one").state, service.vms.get("one").pid], ["running", pid]);
  assert.equal((await hello("one")).generation, 1);
  assert.deepEqual(entries(suspension("one")), []);
});

test("a VM that cannot be brought back says why, and keeps what it was saved to", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  await assert.rejects(hello("one"), hasCode("VMM_START_FAILED"));
  const vm = service.vms.get("one");
  assert.deepEqual([vm.state, vm.reason], ["suspended", "no"]);
  service.driver.startError = undefined;
  assert.deepEqual([(await service.vms.start("one")).origin], ["suspension"]);
});

test("a suspension that is not what was saved is refused; a stop gives it up", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  const file = path.join(suspension("one"), record("one").id, "state");
  const state = readFileSync(file);
  state[0] = (state[0] as number) ^ 1;
  writeFileSync(file, state);
  await assert.rejects(hello("one"), hasCode("SNAPSHOT_CORRUPT"));
  await service.vms.stop("one", 0);
  assert.deepEqual([(await service.vms.start("one")).origin], ["boot"]);
});

test("a suspension that is gone is named, with what to do", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  rmSync(suspension("one"), { recursive: true });
  await assert.rejects(
    hello("one"),
    (error: unknown) =>
      hasCode("SNAPSHOT_CORRUPT")(error) && /vm stop --force one/.test((error as FirebreakError).hint ?? ""),
  );
});

test("a caller who gives up a wake does not stop it: the VM's drive goes on with it", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  const caller = new AbortController();
  const started = service.vms.start("one", { signal: caller.signal });
  caller.abort();
  assert.equal((await started).state, "running");
});

test("what a VM was suspended to is spent when its guest may have run, whatever comes after", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  const openChannel = service.driver.openChannel;
  service.driver.openChannel = () => Promise.reject(new FirebreakError("VM_CRASHED", "gone"));
  await assert.rejects(hello("one"));
  service.driver.openChannel = openChannel;
  assert.equal(service.vms.get("one").state, "crashed");
  assert.equal((await service.vms.start("one")).origin, "boot");
});

test("a suspended VM that is stopped is brought back to write its disk; by force it is not", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  const before = service.driver.restored.length;
  assert.equal((await service.vms.stop("one", 100)).state, "stopped");
  assert.equal(service.driver.restored.length, before + 1);
  await service.vms.start("one");
  await service.vms.suspend("one");
  assert.equal((await service.vms.stop("one", 0)).state, "stopped");
  assert.equal(service.driver.restored.length, before + 1);
});

test("a snapshot whose agent is older is forked without what it cannot do, and refused what needs it", async () => {
  await service.create("one");
  const { id } = await service.snapshots.create("one", "old");
  const file = path.join(service.paths.snapshots, id, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.agent.features = [];
  writeFileSync(file, JSON.stringify(manifest));
  assert.equal((await service.snapshots.fork("old", { name: "two" })).state, "running");
  await assert.rejects(
    service.snapshots.fork("old", { name: "three", diskMib: 8192 }),
    hasCode("SNAPSHOT_INCOMPATIBLE"),
  );
  assert.deepEqual(
    service.vms.list().map((vm) => vm.name),
    ["one", "two"],
  );
});

test("a fork has its parent's idle timeout", async () => {
  await service.create("one", { idleTimeoutMs: 600_000 });
  const vm = await service.snapshots.forkVm("one", { name: "two" });
  assert.equal(vm.idleTimeoutMs, 600_000);
  await assert.rejects(service.snapshots.forkVm("one", { diskMib: 64 }), hasCode("INVALID_ARGUMENT"));
});

test("what a fork of a running VM goes through is removed when its daemon died on the way", async () => {
  await service.create("one");
  const { id } = await service.snapshots.create("one", "named");
  const nameless = "0123456789ab";
  cpSync(path.join(service.paths.snapshots, id), path.join(service.paths.snapshots, nameless), { recursive: true });
  const file = path.join(service.paths.snapshots, nameless, "manifest.json");
  const { name: _, ...manifest } = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...manifest, id: nameless }));
  await service.snapshots.recover();
  assert.deepEqual(entries(service.paths.snapshots), [id]);
});

// --- idle ---

test("a VM that somebody begins to use while it is looked at for being idle is not suspended", async () => {
  await service.create("one", { idleTimeoutMs: 1000 });
  // The look asks the guest for its commands, which takes as long as a request; uses begin all the time meanwhile.
  const until = Date.now() + 4000;
  while (Date.now() < until) {
    await hello("one");
    await sleep(990 + Math.random() * 20);
  }
  assert.ok(service.vms.events({ vm: "one" }).every((event) => event.kind !== "crashed"));
});

test("a VM that nobody uses is suspended after its timeout, and each use begins it anew", async () => {
  await service.create("one", { idleTimeoutMs: 2000 });
  await sleep(1100);
  await hello("one");
  await sleep(1100);
  assert.equal(service.vms.get("one").state, "running");
  await waitFor(() => service.vms.get("one").state === "suspended");
  await hello("one");
  assert.equal(service.vms.get("one").state, "running");
  await waitFor(() => service.vms.get("one").state === "suspended");
});

test("a use that lasts keeps a VM from being idle", async () => {
  await service.create("one", { idleTimeoutMs: 1000 });
  await service.vms.use("one", {}, () => sleep(1500));
  assert.equal(service.vms.get("one").state, "running");
});

test("a VM without a timeout, and a paused one, stay as they are", async () => {
  await service.create("one");
  await service.create("two", { idleTimeoutMs: 1000 });
  await service.vms.pause("two");
  await sleep(1300);
  assert.deepEqual(
    service.vms.list().map((vm) => vm.state),
    ["running", "paused"],
  );
});

test("an adopted VM is idle, too", async () => {
  await service.create("one", { idleTimeoutMs: 1000 });
  await service.restart();
  await waitFor(() => service.vms.get("one").state === "suspended");
});

// --- use of a VM that is not there yet ---

test("a use waits for a VM that is starting", async () => {
  service.driver.hasChannel = false;
  const created = service.create("one");
  await waitFor(() => service.store.find("one")?.state === "starting");
  const used = hello("one");
  service.driver.hasChannel = true;
  assert.equal((await used).generation, 1);
  await created;
});

test("a use waits for a VM that is being suspended, and brings it back", async () => {
  await service.create("one");
  const { promise, resolve } = Promise.withResolvers<void>();
  service.driver.saveGate = promise;
  const suspended = service.vms.suspend("one");
  await waitFor(() => record("one").state === "suspending");
  const used = hello("one");
  resolve();
  assert.equal((await used).generation, 1);
  assert.equal((await suspended).state, "suspended", "as it was when it was done");
  assert.equal(service.vms.get("one").state, "running");
});

test("whoever gives up waiting for a VM that is starting is let go, and the start goes on", async () => {
  service.driver.hasChannel = false;
  const created = service.create("one");
  await waitFor(() => service.store.find("one")?.state === "starting");
  const used = service.vms.use("one", { signal: AbortSignal.abort() }, async () => assert.fail("nobody waits"));
  await assert.rejects(used, hasCode("OPERATION_CANCELED"));
  service.driver.hasChannel = true;
  assert.equal((await created).state, "running");
});

test("a use of a VM whose start fails fails with it", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  promise.catch(() => {}); // the driver may come to the gate after its refusal
  service.driver.startGate = promise;
  const created = service.create("one");
  created.catch(() => {});
  await waitFor(() => service.store.find("one") !== undefined);
  const used = hello("one");
  reject(new FirebreakError("VMM_START_FAILED", "no"));
  await assert.rejects(used, (error: unknown) => error instanceof FirebreakError);
  await assert.rejects(created, hasCode("VMM_START_FAILED"));
});

// --- what a new daemon finds ---

test("a new daemon finds a suspended VM suspended, and wakes it", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  await service.restart();
  assert.equal(service.vms.get("one").state, "suspended");
  assert.equal((await hello("one")).generation, 1);
});

test("a new daemon adopts a paused VM paused", async () => {
  const { pid } = await service.create("one");
  await service.vms.pause("one");
  await service.restart();
  assert.deepEqual([service.vms.get("one").state, service.vms.get("one").pid], ["paused", pid]);
  await service.vms.resume("one");
  assert.equal((await hello("one")).generation, 1);
});

test("a suspension that was cut off before its end: the VM goes on if it is there", async () => {
  const { pid, id } = await service.create("one");
  service.store.update(id, { state: "suspending" });
  await service.restart();
  assert.deepEqual([service.vms.get("one").state, service.vms.get("one").pid], ["running", pid]);
});

test("a suspension that was cut off after its save: the VM is suspended", async () => {
  const { id } = await service.create("one");
  await service.vms.suspend("one");
  service.leaveIn(id, "suspending");
  service.store.update(id, { startFrom: { from: "boot" } });
  await service.restart();
  assert.equal(service.vms.get("one").state, "suspended");
  assert.deepEqual([(await service.vms.start("one")).origin], ["suspension"]);
});

test("a suspension that was cut off and whose VM is gone is a crash that says so", async () => {
  const { pid, id } = await service.create("one");
  service.vms.close();
  process.kill(pid as number, "SIGKILL");
  await sleep(50);
  service.store.update(id, { state: "suspending" });
  await service.restart();
  assert.deepEqual(
    [service.vms.get("one").state, service.vms.get("one").reason],
    ["crashed", "the daemon ended while it was suspending"],
  );
  assert.equal((await service.vms.start("one")).state, "running");
});

test("a wake that its user does not wait for goes on: what it is brought back from is used up on the way", async () => {
  await service.create("one");
  await service.vms.suspend("one");
  const leaving = new AbortController();
  service.driver.hasChannel = false;
  const used = service.vms.use("one", { signal: leaving.signal }, async () => assert.fail("nobody waits"));
  await waitFor(() => record("one").state === "starting");
  leaving.abort();
  await assert.rejects(used, hasCode("OPERATION_CANCELED"));
  service.driver.hasChannel = true;
  await waitFor(() => record("one").state !== "starting");
  assert.deepEqual([service.vms.get("one").state, service.vms.get("one").origin], ["running", "suspension"]);
});

test("a wake that was cut off when its guest may have written: the next start boots, with no memory from before", async () => {
  const { id } = await service.create("one");
  await service.vms.suspend("one");
  const restored = service.driver.restored.length;
  service.driver.hasChannel = false;
  const woken = service.vms.start("one");
  woken.catch(() => {});
  await waitFor(() => record("one").vmm !== undefined);
  assert.equal(service.driver.restored.length, restored + 1);
  // A daemon that is killed does nothing any more: what this one still does is over before the next one begins.
  service.vms.close();
  await assert.rejects(woken);
  service.leaveIn(id, "starting");
  await service.restart();
  service.driver.hasChannel = true;
  assert.deepEqual(
    [service.vms.get("one").state, service.vms.get("one").reason],
    ["crashed", "the daemon ended while it was starting"],
  );
  assert.deepEqual(entries(suspension("one")), []);
  assert.deepEqual([(await service.vms.start("one")).origin], ["boot"]);
});

test("a wake that was cut off leaves what it wakes from", async () => {
  const { id } = await service.create("one");
  await service.vms.suspend("one");
  service.store.update(id, { state: "starting" });
  await service.restart();
  assert.equal(service.vms.get("one").state, "crashed");
  assert.deepEqual([(await service.vms.start("one")).origin], ["suspension"]);
});

test("what a VM was woken from or stopped out of is removed, if the daemon ended before it could", async () => {
  for (const state of ["running", "stopped"] as const) {
    const name = `was-${state}`;
    const { id } = await service.create(name);
    await service.vms.suspend(name);
    const { cpSync } = await import("node:fs");
    const kept = path.join(service.paths.home, "kept");
    cpSync(suspension(name), kept, { recursive: true });
    await (state === "running" ? service.vms.start(name) : service.vms.stop(name, 0));
    cpSync(kept, suspension(name), { recursive: true });
    assert.deepEqual(entries(suspension(name)), [id]);
    await service.restart();
    assert.equal(service.vms.get(name).state, state);
    assert.deepEqual(entries(suspension(name)), [], state);
    rmSync(kept, { recursive: true });
  }
});
