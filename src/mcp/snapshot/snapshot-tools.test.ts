import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller, confirmed } from "../../../test/support/tool-caller.ts";

test("a VM is snapshotted, restored and forked by name", async () => {
  const call = caller(createFakeVmClient(["web"]));
  const taken = await call("snapshot_create", { vm: "web", name: "ready" });
  assert.deepEqual([taken.data.snapshot, taken.data.vm, taken.data.stopped_ms], ["ready", "web", 7]);
  assert.match(taken.text, /^\[vm web · snapshot ready · stood still for 7 ms\]\n/);
  assert.match((await call("snapshot_list", {})).text, /^\[firebreak · 1 snapshot\]\nready: of vm web/);
  assert.deepEqual((await call("snapshot_get", { snapshot: "ready" })).data.ancestors, []);
  const restored = await confirmed(call, "snapshot_restore", { snapshot: "ready" });
  assert.match(restored.text, /^\[vm web · restored · running\]/);
  const forked = await call("snapshot_fork", { snapshot: "ready", name: "two", disk_mib: 4096 });
  assert.deepEqual(forked.data, { vm: "two", state: "running" });
  assert.equal((await call("vm_fork", { vm: "web", name: "three" })).data.vm, "three");
  assert.equal((await confirmed(call, "snapshot_delete", { snapshot: "ready" })).data.deleted, true);
  const gone = await call("snapshot_fork", { snapshot: "ready" });
  assert.deepEqual(
    [gone.data.code, gone.data.hint],
    ["SNAPSHOT_NOT_FOUND", "There is no snapshot; snapshot_create takes one."],
  );
});
