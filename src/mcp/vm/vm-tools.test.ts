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
