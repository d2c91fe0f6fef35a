import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";
import { TOOLS, ToolRegistry } from "../registry.ts";

test("a VM's state is changed, and told", async () => {
  const call = caller(createFakeVmClient(["web"]));
  for (const [tool, state] of [
    ["vm_pause", "paused"],
    ["vm_resume", "running"],
    ["vm_suspend", "suspended"],
  ] as const) {
    assert.deepEqual((await call(tool, { vm: "web" })).data, { vm: "web", state });
    assert.equal((await call("vm_get", { vm: "web" })).data.state, state);
  }
});

test("whoever uses a suspended VM hears that it is brought back", async () => {
  const client = createFakeVmClient(["web"]);
  await client.vms.suspend("web");
  client.world.files.set("/f", Buffer.from("x"));
  const tool = new ToolRegistry(TOOLS).get("file_read");
  assert.ok(tool);
  const notes: string[] = [];
  const options = { connect: async () => client, signal: new AbortController().signal };
  const onProgress = ({ message }: { message: string }) => void notes.push(message);
  await new ToolRegistry(TOOLS).call(tool, { vm: "web", path: "/f" }, { ...options, onProgress });
  assert.deepEqual(notes, ["bringing back the VM 'web'"]);
});

test("labels are added, and taken away by null", async () => {
  const call = caller(createFakeVmClient(["web"]));
  assert.deepEqual((await call("vm_update", { vm: "web", labels: { a: "1", b: "2" } })).data.labels, {
    a: "1",
    b: "2",
  });
  assert.deepEqual((await call("vm_update", { vm: "web", remove_labels: ["a"] })).data.labels, { b: "2" });
});

test("a VM that is made or started may wait for the host's memory", async () => {
  const client = createFakeVmClient();
  const waits: unknown[] = [];
  const { create, start } = client.vms;
  client.vms.create = (request, options) => {
    waits.push(request.admissionWaitMs);
    return create(request, options);
  };
  client.vms.start = (vm, options) => {
    waits.push(options?.admissionWaitMs);
    return start(vm, options);
  };
  const call = caller(client);
  await call("vm_create", { name: "one", wait_for_memory_seconds: 60 });
  await call("vm_start", { vm: "one", wait_for_memory_seconds: 5 });
  await call("vm_start", { vm: "one" });
  assert.deepEqual(waits, [60_000, 5_000, undefined]);
  assert.equal((await call("vm_start", { vm: "one", wait_for_memory_seconds: 0 })).isError, true);
});

test("a VM may be asked for with a driver, and is shown with the one that it has", async () => {
  const client = createFakeVmClient();
  const asked: unknown[] = [];
  const { create } = client.vms;
  client.vms.create = async (request, options) => {
    asked.push(request.driver);
    const vm = await create(request, options);
    return { ...vm, driver: request.driver ?? vm.driver };
  };
  const call = caller(client);
  assert.equal((await call("vm_create", { name: "one", driver: "firecracker" })).data.driver, "firecracker");
  await call("vm_create", { name: "two" });
  assert.deepEqual(asked, ["firecracker", undefined]);
  assert.equal((await call("vm_create", { name: "three", driver: "vmware" })).data.code, "INVALID_ARGUMENT");
});

test("a VM is shown with the drives that it has", async () => {
  const client = createFakeVmClient(["web"]);
  const call = caller(client);
  assert.equal(Object.hasOwn((await call("vm_get", { vm: "web" })).data, "drives"), false);
  const attached = { readOnly: false, state: "attached" } as const;
  const [web] = client.world.vms;
  assert.ok(web);
  web.drives = [
    { ...attached, id: "1", name: "data", format: "ext4", path: "/data", readOnly: true },
    { ...attached, id: "2", name: "disk", format: "raw", reason: "it is gone" },
  ];
  assert.deepEqual((await call("vm_get", { vm: "web" })).data.drives, [
    "data at /data (read-only)",
    "disk: it is gone",
  ]);
});

test("a VM is shown with its forwards", async () => {
  const client = createFakeVmClient(["web"]);
  const call = caller(client);
  assert.equal(Object.hasOwn((await call("vm_get", { vm: "web" })).data, "forwards"), false);
  await client.forwards.create("web", { guestPort: 80, hostPort: 8080 });
  const { data, text } = await call("vm_get", { vm: "web" });
  const forward = "f0: 127.0.0.1:8080 of this computer to port 80 of vm web, listening";
  assert.deepEqual(data.forwards, [forward]);
  assert.ok(text.includes(forward));
});

test("how often a VM is restarted may be limited, where it is restarted at all", async () => {
  const client = createFakeVmClient();
  const asked: unknown[] = [];
  const { create, update } = client.vms;
  client.vms.create = (request, options) => {
    asked.push(request.restart);
    return create(request, options);
  };
  client.vms.update = async (vm, changes, options) => {
    asked.push(changes.restart);
    const updated = await update(vm, changes, options);
    return { ...updated, restart: changes.restart ?? updated.restart };
  };
  const call = caller(client);
  await call("vm_create", { name: "one", restart: "on-failure", max_restarts: 3 });
  const updated = await call("vm_update", { vm: "one", restart: "always", max_restarts: 5 });
  assert.equal(updated.data.restart, "always:5");
  assert.deepEqual(asked, [
    { policy: "on-failure", maxRetries: 3 },
    { policy: "always", maxRetries: 5 },
  ]);
  for (const args of [{ max_restarts: 3 }, { restart: "never", max_restarts: 3 }])
    assert.equal((await call("vm_create", { name: "two", ...args })).data.code, "INVALID_ARGUMENT");
  assert.equal(asked.length, 2);
});
