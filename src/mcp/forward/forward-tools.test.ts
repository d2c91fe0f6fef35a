import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeVmClient } from "../../../test/support/fake-vm-client.ts";
import { caller, confirmed } from "../../../test/support/tool-caller.ts";

test("a port is forwarded, found and closed", async () => {
  const call = caller(createFakeVmClient(["web"]));
  const made = await call("forward_create", { vm: "web", guest_port: 80 });
  assert.deepEqual([made.data.host_address, made.data.host_port, made.data.guest_port], ["127.0.0.1", 40_000, 80]);
  assert.match(made.text, /^\[vm web · forward f0 · listening\]\nf0: 127\.0\.0\.1:40000 of this computer to port 80/);
  assert.match((await call("forward_list", {})).text, /^\[firebreak · 1 forward\]/);
  assert.equal((await call("forward_get", { forward: "f0" })).data.state, "listening");
  assert.equal((await call("forward_delete", { forward: "f0" })).data.deleted, true);
  assert.equal((await call("forward_get", { forward: "f0" })).data.code, "FORWARD_NOT_FOUND");
  const bad = await call("forward_create", { vm: "web", guest_port: 80, host_address: "example.org" });
  assert.equal(bad.data.code, "INVALID_ARGUMENT");
});

test("a port that other machines get in by needs a confirmation", async () => {
  const call = caller(createFakeVmClient(["web"]));
  const open = { vm: "web", guest_port: 80, host_port: 8080, host_address: "0.0.0.0" };
  assert.equal((await call("forward_create", open)).data.code, "CONFIRMATION_REQUIRED");
  assert.match(
    (await call("forward_create", { ...open, preview: true })).text,
    /port 8080 of 0\.0\.0\.0; other machines, too, can reach port 80 of 'web'/,
  );
  assert.equal((await confirmed(call, "forward_create", open)).data.host_address, "0.0.0.0");
  assert.equal((await call("forward_create", { ...open, host_address: "127.0.0.2" })).isError, false);
});
