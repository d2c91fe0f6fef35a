import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TOOLS } from "../../src/mcp/registry.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { confirmed, ERAS, type McpConnection, openMcpClient } from "../support/mcp-client.ts";

let fixture: DaemonFixture;
before(async () => {
  fixture = await startDaemonFixture();
});
after(() => fixture.close());

for (const { era, vm, options } of ERAS) {
  describe(`a client of revision ${era}`, () => {
    let connection: McpConnection;
    let call: McpConnection["call"];
    before(async () => {
      connection = await openMcpClient(fixture, options);
      call = connection.call;
    });
    after(() => connection.close());

    const run = (command: string, more: Record<string, unknown> = {}) => call("run_command", { vm, command, ...more });

    test("speaks that revision and sees every tool", async () => {
      assert.equal(connection.client.getNegotiatedProtocolVersion(), era);
      assert.match(connection.client.getInstructions() ?? "", /never on the local machine/);
      const { tools } = await connection.client.listTools();
      assert.deepEqual(
        tools.map((tool) => tool.name),
        TOOLS.map((tool) => tool.name),
      );
    });

    test("a VM is created with progress that grows", async () => {
      const notes: { progress: number; message?: string }[] = [];
      const created = await call(
        "vm_create",
        { name: vm, memory_mib: 512, env: { FROM_VM: "yes" } },
        { onprogress: (note) => void notes.push(note) },
      );
      assert.equal(created.isError, false, created.text);
      assert.equal(created.data.vm, vm);
      assert.equal(created.data.state, "running");
      assert.match(created.text, new RegExp(`^\\[vm ${vm} · created · running\\]\n`));
      assert.ok(notes.length >= 1, JSON.stringify(notes));
      assert.ok(notes.every((note, index) => index === 0 || note.progress > (notes[index - 1]?.progress ?? 0)));
    });

    test("vm_list and vm_get tell of it", async () => {
      const { data } = await call("vm_list", {});
      assert.ok((data.vms as { vm: string }[]).some((entry) => entry.vm === vm));
      assert.equal((await call("vm_get", { vm })).data.memory_mib, 512);
    });

    test("mistakes are told with code, class and what to do", async () => {
      const unknown = await call("run_command", { vm: "nowhere", command: "true" });
      assert.equal(unknown.isError, true);
      assert.equal(unknown.data.code, "VM_NOT_FOUND");
      assert.equal(unknown.data.class, "not_found");
      assert.match(String(unknown.data.hint), new RegExp(`Existing VMs:.*\\b${vm}\\b`));
      const relative = await call("file_read", { vm, path: "etc/hostname" });
      assert.equal(relative.data.code, "INVALID_PATH");
      const wrong = await call("run_command", { vm, comand: "true" });
      assert.equal(wrong.data.code, "INVALID_ARGUMENT");
      assert.match(wrong.text, /unknown argument 'comand'/);
      assert.equal((await call("file_read", { vm, path: "/" })).data.code, "FILE_IS_A_DIRECTORY");
      assert.equal(
        (await call("file_write", { vm, path: "/srv/x", content: "%%%", encoding: "base64" })).data.code,
        "INVALID_ARGUMENT",
      );
    });

    test("a VM is saved, spoilt, restored and forked, with what runs in it", async () => {
      await run("echo good > /root/state; (while sleep 0.1; do date +%s > /root/beat; done) > /dev/null 2>&1 &");
      const taken = await call("snapshot_create", { vm, name: `${vm}-good` });
      assert.equal(taken.isError, false, taken.text);
      assert.ok((taken.data.size_bytes as number) > 1024 * 1024);
      const again = await call("snapshot_create", { vm, name: `${vm}-good` });
      assert.equal(again.data.code, "SNAPSHOT_ALREADY_EXISTS");
      await run("echo bad > /root/state");
      const forked = await call("snapshot_fork", { snapshot: `${vm}-good`, name: `${vm}-fork` });
      assert.deepEqual(forked.data, { vm: `${vm}-fork`, state: "running" }, forked.text);
      const restored = await confirmed(call, "snapshot_restore", { snapshot: `${vm}-good` });
      assert.match(restored.text, new RegExp(`^\\[vm ${vm} · restored · running\\]`));
      for (const [name, state] of [
        [vm, "good"],
        [`${vm}-fork`, "good"],
      ]) {
        const { data } = await call("run_command", {
          vm: name,
          command: "hostname; cat /root/state; rm -f /root/beat; sleep 1; ls /root/beat",
        });
        assert.equal(data.stdout, `${name}\n${state}\n/root/beat\n`);
      }
      assert.equal((await call("vm_get", { vm })).data.origin, "snapshot");
      const { data } = await call("snapshot_list", {});
      const found = (data.snapshots as { snapshot: string; vm: string }[]).find((entry) => entry.vm === vm);
      assert.equal(found?.snapshot, `${vm}-good`);
      assert.deepEqual((await call("snapshot_get", { snapshot: `${vm}-good` })).data.ancestors, []);
      await confirmed(call, "vm_delete", { vm: `${vm}-fork` });
      assert.equal((await confirmed(call, "snapshot_delete", { snapshot: `${vm}-good` })).data.deleted, true);
      const gone = await call("snapshot_fork", { snapshot: `${vm}-good` });
      assert.equal(gone.data.code, "SNAPSHOT_NOT_FOUND");
    });

    test("a paused VM says to be resumed; a suspended one is brought back by the next call, which is told", async () => {
      assert.equal((await call("vm_pause", { vm })).data.state, "paused");
      const refused = await run("true");
      assert.equal(refused.data.code, "VM_STATE_CONFLICT");
      assert.match(String(refused.data.hint), /vm_resume/);
      assert.equal((await call("vm_resume", { vm })).data.state, "running");
      assert.equal((await call("vm_suspend", { vm })).data.state, "suspended");
      const notes: string[] = [];
      const onprogress = ({ message }: { message?: string }) => void notes.push(message ?? "");
      const back = await call("run_command", { vm, command: "hostname" }, { onprogress });
      assert.equal(back.data.stdout, `${vm}\n`, back.text);
      assert.match(notes.join("\n"), /bringing the VM '.*' back/);
      await call("vm_suspend", { vm });
      notes.length = 0;
      const read = await call("file_read", { vm, path: "/root/state" }, { onprogress });
      assert.equal(read.data.content, "good\n", read.text);
      assert.match(notes.join("\n"), /bringing back the VM/);
    });

    test("templates are listed", async () => {
      const { data } = await call("template_list", {});
      assert.ok((data.templates as { image: string; stale: boolean }[]).some((entry) => !entry.stale));
      assert.deepEqual((await confirmed(call, "template_prune", {})).data.deleted, []);
    });

    test("a deleted VM is gone", async () => {
      assert.equal((await confirmed(call, "vm_delete", { vm })).data.deleted, true);
      assert.equal((await call("vm_get", { vm })).data.code, "VM_NOT_FOUND");
    });
  });
}
