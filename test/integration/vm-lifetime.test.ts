import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import type { VmCreate } from "../../src/contract/vm.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import type { VmRecord } from "../../src/vms/vm-store.ts";
import { openVmService } from "../support/vm-service.ts";
import { waitFor } from "../support/wait-for.ts";

let service: ReturnType<typeof openVmService>;
beforeEach(() => {
  service = openVmService();
});
afterEach(() => service.close());

const record = (name: string) => service.store.find(name) as VmRecord;
const kinds = (name: string) => service.vms.events({ vm: name }).map((event) => event.kind);
const crash = (name: string) => process.kill(record(name).vmm?.pid as number, "SIGKILL");
const always: VmCreate = { restart: { policy: "always" } };

// --- restart policy ---

test("a VM whose VMM is killed is started again, and its history says why and when", async () => {
  await service.create("one", always);
  const { pid } = service.vms.get("one");
  crash("one");
  await waitFor(() => service.vms.get("one").state === "crashed");
  await waitFor(() => service.vms.get("one").state === "running");
  const vm = service.vms.get("one");
  assert.notEqual(vm.pid, pid);
  assert.equal(vm.restartCount, 1);
  const history = service.vms.events({ vm: "one" });
  assert.deepEqual(
    history.slice(-4).map(({ kind }) => kind),
    ["crashed", "restart_scheduled", "starting", "running"],
  );
  assert.deepEqual(history.at(-3)?.data, { count: 1, delayMs: 1000 });
});

test("a VM without a policy stays crashed, and so does one that is stopped while its restart is due", async () => {
  await service.create("plain");
  await service.create("due", always);
  crash("plain");
  crash("due");
  await waitFor(() => kinds("due").includes("restart_scheduled"));
  await service.vms.stop("due", 0);
  await waitFor(() => service.vms.get("plain").state === "crashed");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.deepEqual(
    service.vms.list().map((vm) => vm.state),
    ["crashed", "stopped"],
  );
  assert.equal(kinds("plain").includes("restart_scheduled"), false);
});

test("a VM that cannot be started again is tried as often as its policy says, and then given up by name", async () => {
  await service.create("one", { restart: { policy: "on-failure", maxRetries: 2 } });
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  crash("one");
  await waitFor(() => kinds("one").includes("restart_given_up"));
  assert.equal(kinds("one").filter((kind) => kind === "restart_scheduled").length, 2);
  assert.deepEqual(service.vms.events({ vm: "one" }).at(-1)?.data, { restarts: 2 });
  service.driver.startError = undefined;
  await service.restart();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(service.vms.get("one").state, "crashed", "the next daemon does not begin anew");
  assert.equal((await service.vms.start("one")).restartCount, 0, "a start by hand begins anew");
});

test("what a VM has run before it ended counts once: a row of failed starts is one, however long ago that was", async () => {
  await service.create("one", { restart: { policy: "on-failure", maxRetries: 1 } });
  service.store.update(record("one").id, { startedAt: new Date(Date.now() - 3_600_000).toISOString() });
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  crash("one");
  await waitFor(() => kinds("one").includes("restart_given_up"));
  assert.equal(kinds("one").filter((kind) => kind === "restart_scheduled").length, 1);
});

test("what crashed while no daemon ran, or was to be restarted by one that ended, is restarted by the next", async () => {
  await service.create("one", always);
  await service.create("two", always);
  const { pid } = service.vms.get("one");
  crash("two");
  await waitFor(() => kinds("two").includes("restart_scheduled"));
  service.vms.close();
  process.kill(pid as number, "SIGKILL");
  await service.restart();
  for (const name of ["one", "two"]) await waitFor(() => service.vms.get(name).state === "running");
});

test("a policy may be given and taken away later", async () => {
  await service.create("one");
  service.vms.update("one", always);
  crash("one");
  await waitFor(() => kinds("one").includes("restart_scheduled"));
  await waitFor(() => service.vms.get("one").state === "running");
  service.vms.update("one", { restart: { policy: "never" } });
  crash("one");
  await waitFor(() => service.vms.get("one").state === "crashed");
  assert.equal(kinds("one").at(-1), "crashed");
});

// --- lifetime ---

test("a VM that is stopped with its daemon comes back with the next one if it is always wanted", async () => {
  const policies = { always: "always", once: "never", failing: "on-failure" } as const;
  for (const [name, policy] of Object.entries(policies)) await service.create(name, { restart: { policy } });
  for (const name of Object.keys(policies)) await service.vms.stop(name, 0, { staysWanted: true });
  await service.create("by-hand", { restart: { policy: "always" } });
  await service.vms.stop("by-hand", 0);
  await service.restart();
  await waitFor(() => service.vms.get("always").state === "running");
  for (const name of ["once", "failing", "by-hand"]) assert.equal(service.vms.get(name).state, "stopped", name);
});

test("a VM whose lifetime is over is stopped, and nothing of it is lost; one may be told to go with it", async () => {
  await service.create("kept", { maxLifetimeMs: 1000, restart: { policy: "always" } });
  await service.create("gone", { maxLifetimeMs: 1000, onExpiry: "delete" });
  await service.create("aside", { maxLifetimeMs: 1000, onExpiry: "suspend" });
  const goneId = record("gone").id;
  await waitFor(() => service.store.find("gone") === undefined);
  await waitFor(() => service.vms.get("kept").state === "stopped");
  await waitFor(() => service.vms.get("aside").state === "suspended");
  assert.ok(kinds("kept").includes("expired"));
  await waitFor(() => service.vms.get("kept").expiresAt === undefined);
  assert.deepEqual(kinds(goneId).slice(-3), ["expired", "deleting", "deleted"], "its history is there still");
  assert.equal((await service.vms.start("kept")).state, "running");
});

test("a lifetime goes on over daemons: one that was over while none ran ends with the next", async () => {
  await service.create("one", { maxLifetimeMs: 1000 });
  service.vms.close();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(record("one").state, "running");
  await service.restart();
  await waitFor(() => service.vms.get("one").state === "stopped");
});

test("a VM whose time to be suspended comes while it is paused, starting or crashed is set aside all the same", async () => {
  const expiring: VmCreate = { maxLifetimeMs: 1000, onExpiry: "suspend" };
  await service.create("paused", expiring);
  await service.vms.pause("paused");
  await service.create("crashed", { ...expiring, ...always });
  service.driver.startError = new FirebreakError("VMM_START_FAILED", "no");
  crash("crashed");
  await waitFor(() => kinds("crashed").includes("restart_scheduled"));
  await waitFor(() => service.vms.get("crashed").state === "stopped");
  await waitFor(() => service.vms.get("paused").state === "suspended");
  service.driver.startError = undefined;
  const gate = Promise.withResolvers<void>();
  service.driver.startGate = gate.promise;
  const starting = service.create("starting", expiring);
  await waitFor(() => kinds("starting").includes("expired"));
  gate.resolve();
  await starting;
  await waitFor(() => service.vms.get("starting").state === "suspended");
  for (const name of ["paused", "crashed", "starting"]) {
    await waitFor(() => service.vms.get(name).expiresAt === undefined);
    assert.equal(kinds(name).includes("expiry_failed"), false, name);
  }
});

test("a VM that cannot be suspended when its time is over has its time over still", async () => {
  await service.create("one", { maxLifetimeMs: 1000, onExpiry: "suspend" });
  service.driver.saveError = new FirebreakError("HOST_DISK_FULL", "full");
  await waitFor(() => kinds("one").includes("expiry_failed"));
  assert.equal(service.vms.get("one").state, "running");
  service.driver.saveError = undefined;
  await service.restart();
  await waitFor(() => service.vms.get("one").state === "suspended");
});

test("a lifetime can be made longer, or taken away", async () => {
  await service.create("one", { maxLifetimeMs: 60_000 });
  const { expiresAt } = service.vms.get("one");
  const later = service.vms.update("one", { maxLifetimeMs: 120_000 }).expiresAt;
  assert.ok(expiresAt !== undefined && later !== undefined && later > expiresAt);
  assert.equal(service.vms.update("one", { maxLifetimeMs: null }).expiresAt, undefined);
});

// --- names, labels, states ---

test("labels are set, changed and taken away; a name is changed unless another VM has it", async () => {
  await service.create("one", { labels: { team: "infra", tier: "1" } });
  await service.create("two");
  assert.deepEqual(service.vms.update("one", { labels: { tier: null, stage: "test" } }).labels, {
    team: "infra",
    stage: "test",
  });
  assert.equal(service.vms.update("one", { name: "uno" }).name, "uno");
  assert.throws(() => service.vms.update("uno", { name: "two" }), { code: "VM_ALREADY_EXISTS" });
  const many = Object.fromEntries(Array.from({ length: 63 }, (_, index) => [`k${index}`, "v"]));
  assert.throws(() => service.vms.update("uno", { labels: many }), { code: "INVALID_ARGUMENT" });
});

test("the store refuses a change of state that no VM goes through", async () => {
  const { id } = await service.create("one");
  await service.vms.stop("one", 0);
  assert.throws(() => service.store.update(id, { state: "running" }), {
    code: "INTERNAL",
    message: "the VM 'one' cannot go from stopped to running",
  });
  assert.equal(record("one").state, "stopped");
});

// --- waiting ---

test("a wait ends with the state that is waited for, at once where it is there", async () => {
  await service.create("one");
  assert.equal((await service.vms.wait("one", ["running"], {})).state, "running");
  const stopped = service.vms.wait("one", ["stopped", "crashed"], {});
  await service.vms.stop("one", 0);
  const result = await stopped;
  assert.deepEqual([result.state, result.vm?.name], ["stopped", "one"]);
});

test("a wait ends with its time, its caller, or its VM", async () => {
  await service.create("one");
  await assert.rejects(service.vms.wait("one", ["stopped"], { timeoutMs: 20 }), {
    code: "DEADLINE_EXCEEDED",
    message: "the VM 'one' is running, not stopped",
  });
  await assert.rejects(service.vms.wait("one", ["stopped"], { signal: AbortSignal.abort() }), {
    code: "OPERATION_CANCELED",
  });
  const inVain = service.vms.wait("one", ["paused"], {});
  const deleted = service.vms.wait("one", ["deleted"], {});
  inVain.catch(() => {});
  await service.vms.delete("one");
  await assert.rejects(inVain, { code: "VM_NOT_FOUND" });
  assert.deepEqual(await deleted, { state: "deleted" });
  await assert.rejects(service.vms.wait("one", ["stopped"], {}), { code: "VM_NOT_FOUND" });
});

// --- figures ---

test("figures are had of a VM in any state, and bring no suspended one back", async () => {
  await service.create("one");
  const running = await service.vms.stats("one");
  assert.ok((running.vmm?.rssBytes ?? 0) > 0 && (running.channel?.receivedBytes ?? 0) > 0);
  assert.ok((running.guest?.memory.totalBytes ?? 0) > 0);
  await service.vms.suspend("one");
  const suspended = await service.vms.stats("one");
  assert.deepEqual([suspended.state, suspended.vmm, suspended.guest], ["suspended", undefined, undefined]);
  assert.equal(service.vms.get("one").state, "suspended");
});

test("of the history the newest are told, or those after one, the oldest first", async () => {
  await service.create("one");
  await service.vms.stop("one", 0);
  const ids = (filter: { afterId?: number; limit?: number }) => service.vms.events(filter).map(({ id }) => id);
  const all = ids({});
  assert.ok(all.length > 3);
  assert.deepEqual(ids({ limit: 2 }), all.slice(-2));
  assert.deepEqual(ids({ afterId: 0, limit: 2 }), all.slice(0, 2));
  assert.deepEqual(ids({ afterId: all[1] ?? 0 }), all.slice(2));
});
