import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { type McpConnection, openMcpClient } from "../support/mcp-client.ts";

let fixture: DaemonFixture;
let connection: McpConnection;
before(async () => {
  fixture = await startDaemonFixture();
  connection = await openMcpClient(fixture, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  await connection.call("vm_create", { name: "web", labels: { team: "a" }, restart: "on-failure" });
});
after(async () => {
  await connection.close();
  await fixture.close();
});

const call: McpConnection["call"] = (...parameters) => connection.call(...parameters);

test("a VM's console, history, figures and end are told", async () => {
  const { data } = await call("vm_get", { vm: "web" });
  assert.deepEqual([data.labels, data.restart], [{ team: "a" }, "on-failure"]);
  assert.ok(((await call("vm_logs", { vm: "web" })).data.lines as string[]).length > 0);
  const events = (await call("event_list", { vm: "web" })).data.events as { kind: string; index: number }[];
  assert.equal(events[0]?.kind, "created");
  const stats = (await call("vm_stats", { vm: "web" })).data;
  assert.ok(Number(stats.memory_available_bytes) > 0 && Number(stats.host_memory_bytes) > 0, JSON.stringify(stats));
  const renamed = await call("vm_update", {
    vm: "web",
    name: "api",
    remove_labels: ["team"],
    idle_timeout_seconds: 600,
  });
  assert.deepEqual([renamed.data.vm, renamed.data.labels, renamed.data.idle_timeout_seconds], ["api", {}, 600]);
  const waiting = call("vm_wait", { vm: "api", for: ["stopped"] });
  await call("vm_stop", { vm: "api" });
  assert.equal((await waiting).data.state, "stopped");
  const late = await call("vm_wait", { vm: "api", for: ["running"], timeout_ms: 50 });
  assert.deepEqual([late.data.class, late.data.retryable], ["deadline_exceeded", true]);
});

test("a plan is told on the command line, too, and nothing is done", async () => {
  const plan = await fixture.cli(["vm", "plan", "api", "absent"]);
  assert.match(plan.stdout, /^mark: note that it is deleting\nend_vmm: .*\nremove_files: .*\nforget: .*\n$/);
  assert.equal((await fixture.cli(["vm", "plan", "api", "stopped"])).stdout, "nothing to do\n");
  assert.equal((await fixture.cli(["vm", "plan", "api", "gone"])).exitCode, 2);
  assert.equal((await fixture.client.vms.get("api")).state, "stopped");
});

test("the host, its kernels and what is used of it are told", async () => {
  const host = (await call("host_info", {})).data;
  assert.ok(Number(host.cpus) > 0 && Number(host.memory_bytes) > 0);
  assert.equal(host.driver, "auto");
  assert.match(String(host.drivers), /qemu \d+\.\d+/);
  assert.equal((await call("ping", {})).data.vms, 1);
  const used = (await call("usage", {})).data;
  assert.deepEqual([used.vms, used.states], [1, { stopped: 1 }]);
  assert.ok(Number(used.template_bytes) > 0 && Number(used.image_bytes) > 0);
  const onCommandLine = await fixture.json<{ vms: number; templateBytes: number }>("host", "usage");
  assert.deepEqual([onCommandLine.vms, onCommandLine.templateBytes], [1, used.template_bytes]);
  assert.match((await fixture.cli(["host", "usage"])).stdout, /^vms +1, 1 stopped$/m);
  assert.match((await fixture.cli(["host", "info"])).stdout, new RegExp(`^cpus +${host.cpus} \\(`, "m"));
  const kernels = (await call("kernel_list", {})).data.kernels as { kernel: string; current: boolean }[];
  const current = kernels.find((kernel) => kernel.current);
  assert.equal((await call("kernel_verify", {})).data.kernel, current?.kernel);
  const { data } = await call("kernel_use", { kernel: String(current?.kernel), preview: true });
  assert.match(String((data.preview as { confirm_token: string }).confirm_token), /^[\w-]{22}$/);
  assert.ok(((await call("doctor", {})).data.checks as unknown[]).length > 5);
});

test("costs are those that the owner has set, and none are made up", async () => {
  assert.equal((await call("vm_estimate_cost", {})).data.code, "PRICES_NOT_SET");
  const file = path.join(fixture.paths.home, "firebreak.toml");
  await writeFile(file, '[prices]\ncurrency = "EUR"\ncpu_hour = 0.02\ngib_hours = 0.01\n');
  const wrong = await call("vm_estimate_cost", {});
  assert.equal(wrong.data.code, "CONFIG_INVALID");
  assert.match(String(wrong.data.message), /did you mean 'gib_hour'/);
  await writeFile(file, '[prices]\ncurrency = "EUR"\ncpu_hour = 0.02\ngib_hour = 0.01\n');
  const { data } = await call("vm_estimate_cost", { vm: "api", hours: 10 });
  assert.deepEqual([data.amount, data.currency], [0.25, "EUR"]);
});
