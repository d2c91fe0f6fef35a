import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller, confirmed } from "../../../test/support/tool-caller.ts";

test("a kernel is shown", async () => {
  const call = caller(createFakeVmClient());
  assert.equal((await call("kernel_get", { kernel: "stock-1" })).data.current, true);
  assert.equal((await call("kernel_get", { kernel: "none" })).data.code, "KERNEL_NOT_FOUND");
});

test("kernels are listed, verified and chosen", async () => {
  const own = caller(createFakeVmClient());
  assert.equal(((await own("kernel_list", {})).data.kernels as unknown[]).length, 2);
  assert.equal((await own("kernel_verify", {})).data.kernel, "stock-1");
  assert.equal((await own("kernel_use", { kernel: "built-1" })).data.code, "CONFIRMATION_REQUIRED");
  assert.equal((await confirmed(own, "kernel_use", { kernel: "built-1" })).data.current, true);
  assert.equal((await confirmed(own, "kernel_delete", { kernel: "stock-1" })).data.deleted, true);
  assert.equal((await confirmed(own, "kernel_build", {})).data.up_to_date, true);
  assert.equal((await confirmed(own, "image_build", { image: "debian" })).data.up_to_date, false);
});
