import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller } from "../../../test/support/tool-caller.ts";

const call = caller(createFakeVmClient(["web", "db"]));

test("a VM's console is read from its end", async () => {
  const client = createFakeVmClient(["web"]);
  client.world.console = Array.from({ length: 300 }, (_, index) => `line ${index}\r\n`).join("");
  const { data } = await caller(client)("vm_logs", { vm: "web", tail_lines: 2 });
  assert.deepEqual([data.lines, data.cut], [["line 298", "line 299"], true]);
});

test("events are read on from where one stopped", async () => {
  const first = await call("event_list", {});
  assert.deepEqual([first.data.next_index, (first.data.events as unknown[]).length], [2, 2]);
  const next = await call("event_list", { after_index: 2 });
  assert.deepEqual([next.data.next_index, next.data.events], [2, []]);
});

test("figures, and what all use together", async () => {
  assert.equal((await call("vm_stats", { vm: "web" })).data.host_cpu_ms, 5);
  const { data } = await call("usage", {});
  assert.deepEqual([data.vms, data.states, data.vm_disk_bytes, data.host_memory_bytes], [2, { running: 2 }, 20, 14]);
  assert.equal((await call("ping", {})).data.vms, 2);
  assert.equal((await call("host_info", {})).data.cpus, 2);
  assert.equal((await call("vm_wait", { vm: "web", for: ["running"] })).data.state, "running");
});

test("a cost is that of the prices, for a VM or a size", async () => {
  const sized = await call("vm_estimate_cost", { cpus: 2, memory_mib: 1024, disk_mib: 2048, hours: 3, count: 2 });
  assert.deepEqual(
    [sized.data.cpu, sized.data.memory, sized.data.disk, sized.data.amount, sized.data.per_hour, sized.data.currency],
    [6, 1.5, 1.5, 9, 3, "EUR"],
  );
  // 1 CPU, 512 MiB, 2048 MiB of disk.
  assert.equal((await call("vm_estimate_cost", { vm: "web" })).data.amount, 0.5 + 0.125 + 0.25);
  assert.equal((await call("vm_estimate_cost", { vm: "web", cpus: 2 })).data.code, "INVALID_ARGUMENT");
  assert.equal((await call("vm_estimate_cost", { vm: "nope" })).data.code, "VM_NOT_FOUND");
});
