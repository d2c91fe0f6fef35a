import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller, confirmed } from "../../../test/support/tool-caller.ts";

test("a template is made ahead, shown and deleted", async () => {
  const call = caller(createFakeVmClient());
  assert.deepEqual((await call("template_create", { memory_mib: 1024 })).data.memory_mib, 1024);
  assert.equal((await call("template_create", { memory_mib: 1 })).data.code, "INVALID_ARGUMENT");
  assert.match((await call("template_get", { template: "b" })).text, /^\[firebreak · template b · stale\]/);
  assert.equal((await call("template_delete", { template: "b" })).data.code, "CONFIRMATION_REQUIRED");
  assert.deepEqual((await confirmed(call, "template_delete", { template: "b" })).data, {
    template: "b",
    deleted: true,
  });
  assert.equal((await call("template_get", { template: "b" })).data.code, "TEMPLATE_NOT_FOUND");
});

test("templates are pruned: the stale ones, or all", async () => {
  const call = caller(createFakeVmClient());
  assert.equal(((await call("template_list", {})).data.templates as unknown[]).length, 2);
  assert.deepEqual((await confirmed(call, "template_prune", {})).data, { deleted: ["b"], freed_bytes: 1000 });
  assert.deepEqual((await confirmed(call, "template_prune", { all: true })).data, {
    deleted: ["a"],
    freed_bytes: 1000,
  });
});
