import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createFakeVmClient } from "../../test/support/fake-vm-client.ts";
import { caller } from "../../test/support/tool-caller.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { TOOLS, ToolRegistry } from "./registry.ts";

const registry = new ToolRegistry(TOOLS);

async function preview(call: ReturnType<typeof caller>, name: string, args: Record<string, unknown>) {
  const { data, isError, text } = await call(name, { ...args, preview: true });
  assert.equal(isError, false, text);
  return data.preview as { steps: string[]; confirm_token: string; expires_at: string };
}

describe("a preview", () => {
  test("is to be had of every tool that changes something, and changes nothing", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    await client.snapshots.create("web", "ready");
    const before = JSON.stringify([
      client.world.vms,
      client.world.snapshots,
      client.world.templates,
      client.world.images,
      client.world.kernels,
      [...client.world.files],
      client.world.specs,
    ]);
    const values: Record<string, unknown> = {
      ...{ vm: "web", snapshot: "ready", command: "x", path: "/f", content: "x", exec_id: "exec-1" },
      ...{ kernel: "stock-1", image: "debian", reference: "localhost:5000/x:1" },
    };
    let count = 0;
    for (const tool of registry.list()) {
      if (tool.annotations?.readOnlyHint) continue;
      const required = tool.inputSchema.required ?? [];
      const keys = [...required, ...(tool.name === "run_command" ? ["command"] : [])];
      if (!keys.every((key) => Object.hasOwn(values, key))) continue;
      const { steps } = await preview(call, tool.name, Object.fromEntries(keys.map((key) => [key, values[key]])));
      assert.ok(steps.length > 0 || tool.name.endsWith("_prune"), tool.name);
      count++;
    }
    assert.ok(count >= 20, `${count}`);
    assert.equal(
      JSON.stringify([
        client.world.vms,
        client.world.snapshots,
        client.world.templates,
        client.world.images,
        client.world.kernels,
        [...client.world.files],
        client.world.specs,
      ]),
      before,
    );
  });

  test("of something that is not there is an error", async () => {
    const call = caller(createFakeVmClient(["web"]));
    assert.equal((await call("vm_delete", { vm: "nope", preview: true })).data.code, "VM_NOT_FOUND");
    assert.equal((await call("vm_create", { name: "web", preview: true })).data.code, "VM_ALREADY_EXISTS");
    assert.equal(
      (await call("file_write", { vm: "nope", path: "/f", content: "", preview: true })).data.code,
      "VM_NOT_FOUND",
    );
  });

  test("is no argument of a tool that only looks", async () => {
    const refused = await caller(createFakeVmClient())("vm_list", { preview: true });
    assert.equal(refused.data.code, "INVALID_ARGUMENT");
  });
});

describe("what destroys, or changes the host,", () => {
  test("needs a confirm token", () => {
    const guarded = TOOLS.filter(({ needsConfirmation }) => needsConfirmation).map(({ name }) => name);
    for (const name of [
      ...[
        "vm_delete",
        "snapshot_delete",
        "template_prune",
        "image_pull",
        "image_push",
        "image_build",
        "image_delete",
        "image_prune",
      ],
      ...["kernel_use", "kernel_build", "drive_delete", "volume_delete"],
    ])
      assert.ok(guarded.includes(name), name);
    // A file is what an agent works on, and a forward holds nothing.
    const free = ["file_delete", "forward_delete"];
    for (const { name } of TOOLS) {
      if (!/_(delete|prune)$/.test(name) || free.includes(name)) continue;
      assert.ok(guarded.includes(name), `${name} deletes: its definition needs 'confirm:' (see drive_delete)`);
    }
    for (const tool of TOOLS.filter(({ needsConfirmation }) => needsConfirmation))
      assert.match(tool.description, /confirm_token/, tool.name);
  });
});

describe("a confirm token", () => {
  test("is needed, and good for one call", async () => {
    const client = createFakeVmClient(["web", "db"]);
    const call = caller(client);
    const refused = await call("vm_delete", { vm: "web" });
    assert.equal(refused.data.code, "CONFIRMATION_REQUIRED");
    assert.match(String(refused.data.hint), /preview: true/);
    const { confirm_token, steps } = await preview(call, "vm_delete", { vm: "web" });
    assert.match(confirm_token, /^[\w-]{22}$/);
    assert.ok(steps.includes("remove_files: delete its disk and all files on it"), steps.join());
    assert.equal(client.world.vms.length, 2);
    assert.equal((await call("vm_delete", { vm: "web", confirm_token })).data.deleted, true);
    // Whoever makes a VM of the same name does not lose it to a token of the old one's.
    await client.vms.create({ name: "web" });
    assert.equal((await call("vm_delete", { vm: "web", confirm_token })).data.code, "CONFIRMATION_USED");
    assert.equal(client.world.vms.length, 2);
  });

  test("is worth nothing when it is made up, for other arguments, or for another tool", async () => {
    const client = createFakeVmClient(["web", "db"]);
    const call = caller(client);
    await client.snapshots.create("web", "ready");
    const { confirm_token } = await preview(call, "vm_delete", { vm: "web" });
    const made = await call("vm_delete", { vm: "web", confirm_token: "A".repeat(22) });
    assert.equal(made.data.code, "CONFIRMATION_UNKNOWN");
    assert.equal((await call("vm_delete", { vm: "db", confirm_token })).data.code, "CONFIRMATION_MISMATCH");
    const other = await call("snapshot_delete", { snapshot: "ready", confirm_token });
    assert.equal(other.data.code, "CONFIRMATION_MISMATCH");
    assert.deepEqual([client.world.vms.length, client.world.snapshots.length], [2, 1]);
    // It was not used up by that.
    assert.equal((await call("vm_delete", { vm: "web", confirm_token })).data.deleted, true);
  });

  test("is worth nothing after ten minutes", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    const { confirm_token } = await preview(call, "vm_delete", { vm: "web" });
    client.world.nowMs += 10 * 60_000;
    assert.equal((await call("vm_delete", { vm: "web", confirm_token })).data.code, "CONFIRMATION_EXPIRED");
    assert.equal(client.world.vms.length, 1);
  });

  test("is worth nothing once what the plan was made from has changed", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    const { confirm_token } = await preview(call, "vm_delete", { vm: "web" });
    await client.vms.pause("web");
    assert.equal((await call("vm_delete", { vm: "web", confirm_token })).data.code, "CONFIRMATION_STALE");
    const pruning = await preview(call, "template_prune", {});
    for (const template of client.world.templates) template.isStale = true;
    const stale = await call("template_prune", { confirm_token: pruning.confirm_token });
    assert.equal(stale.data.code, "CONFIRMATION_STALE");
    assert.deepEqual([client.world.vms.length, client.world.templates.length], [1, 2]);
  });

  test("is worth nothing once something has been written to what it deletes", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    const drive = await client.drives.create({ name: "data" });
    for (const [tool, argument] of [
      ["drive_delete", "drive"],
      ["volume_delete", "volume"],
    ] as const) {
      const { confirm_token } = await preview(call, tool, { [argument]: "data" });
      drive.changedAt = `2026-01-01T00:00:00.00${tool.length % 10}Z`;
      assert.equal((await call(tool, { [argument]: "data", confirm_token })).data.code, "CONFIRMATION_STALE", tool);
    }
    assert.equal((await client.drives.list()).length, 1);
  });

  test("of a pull says which image loses its name, also where the reference implies the name", async () => {
    const client = createFakeVmClient([]);
    const call = caller(client);
    await client.images.tag("debian", "tools:2");
    const args = { reference: "ghcr.io/owner/tools:2" };
    const { confirm_token, steps } = await preview(call, "image_pull", args);
    assert.match(steps.join(), /'tools:2' stands for sha256:/);
    await client.images.untag("tools:2");
    assert.equal((await call("image_pull", { ...args, confirm_token })).data.code, "CONFIRMATION_STALE");
  });

  test("used twice at once acts once", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    let deletions = 0;
    const { delete: deleteVm } = client.vms;
    client.vms.delete = async (vm) => {
      deletions++;
      return deleteVm(vm);
    };
    const { confirm_token } = await preview(call, "vm_delete", { vm: "web" });
    const outcomes = await Promise.all([1, 2, 3].map(() => call("vm_delete", { vm: "web", confirm_token })));
    assert.equal(outcomes.filter(({ data }) => data.deleted === true).length, 1);
    assert.equal(deletions, 1);
  });
});

describe("an idempotency key", () => {
  test("makes a call once, and its answer is given again", async () => {
    const client = createFakeVmClient([]);
    const call = caller(client);
    const args = { name: "one", idempotency_key: "k1" };
    const [first, second] = await Promise.all([call("vm_create", args), call("vm_create", args)]);
    const third = await call("vm_create", args);
    assert.deepEqual([second.data, third.data], [first.data, first.data]);
    assert.match(third.text, /as answered before/);
    assert.equal(client.world.vms.length, 1);
  });

  test("stands for one call: other arguments and other tools are refused", async () => {
    const client = createFakeVmClient([]);
    const call = caller(client);
    await call("vm_create", { name: "one", idempotency_key: "k1" });
    assert.equal((await call("vm_create", { name: "two", idempotency_key: "k1" })).data.code, "IDEMPOTENCY_MISMATCH");
    assert.equal((await call("vm_start", { vm: "one", idempotency_key: "k1" })).data.code, "IDEMPOTENCY_MISMATCH");
    assert.equal((await call("vm_create", { idempotency_key: "a b" })).data.code, "INVALID_ARGUMENT");
    assert.equal(client.world.vms.length, 1);
  });

  test("is free again after a call that has done nothing", async () => {
    const client = createFakeVmClient([]);
    const call = caller(client);
    const args = { vm: "web", idempotency_key: "k1" };
    assert.equal((await call("vm_start", args)).data.code, "VM_NOT_FOUND");
    await client.vms.create({ name: "web" });
    assert.equal((await call("vm_start", args)).data.state, "running");
  });

  test("keeps a failure that may have done something, and says how to try anew", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    let tries = 0;
    client.vms.start = async () => {
      tries++;
      throw new FirebreakError("VM_BOOT_FAILED", "the guest hung");
    };
    const args = { vm: "web", idempotency_key: "k1" };
    assert.equal((await call("vm_start", args)).data.code, "VM_BOOT_FAILED");
    const again = await call("vm_start", args);
    assert.deepEqual([again.data.code, tries], ["VM_BOOT_FAILED", 1]);
    assert.match(String(again.data.hint), /new idempotency_key/);
  });

  test("of a confirmed call brings its answer back although the token is used up", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    const { confirm_token } = await preview(call, "vm_delete", { vm: "web" });
    const args = { vm: "web", confirm_token, idempotency_key: "k1" };
    const first = await call("vm_delete", args);
    assert.equal(first.data.deleted, true);
    assert.deepEqual((await call("vm_delete", args)).data, first.data);
  });
});
