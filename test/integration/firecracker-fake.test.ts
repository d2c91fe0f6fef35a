import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeFirecracker } from "../fakes/firecracker/api-server.ts";
import { PretendedMachine } from "../fakes/firecracker/machine.ts";

/** What the fake is worth rests upon what it refuses. */

const SOURCE = { kernel_image_path: "kernel" };
const LOAD = { snapshot_path: "state", mem_backend: { backend_type: "File", backend_path: "memory" } };

function open(version?: string) {
  const machine = new PretendedMachine();
  const firecracker = new FakeFirecracker(machine, { ...(version && { version }) });
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await firecracker.handle(method, path, body);
    return answer.status === 400 ? (answer.body as { fault_message: string }).fault_message : answer.status;
  };
  return { machine, firecracker, call };
}

async function openRunning() {
  const opened = open();
  assert.equal(await opened.call("PUT", "/boot-source", SOURCE), 204);
  assert.equal(await opened.call("PUT", "/actions", { action_type: "InstanceStart" }), 204);
  return opened;
}

test("what the document does not have is refused: paths, methods, fields and types", async () => {
  const { call } = open();
  assert.equal(await call("PUT", "/nothing", {}), "Invalid request method and/or path: PUT nothing.");
  assert.match(String(await call("DELETE", "/vsock")), /Invalid request method/);
  assert.match(String(await call("PUT", "/vsock", { guest_cid: 3, uds_path: "v", more: 1 })), /more/);
  assert.match(String(await call("PUT", "/machine-config", { vcpu_count: 33, mem_size_mib: 128 })), /<= 32/);
  const drive = { drive_id: "b", path_on_host: "x", is_root_device: false };
  assert.match(String(await call("PUT", "/drives/a", drive)), /^The id from the path does not match/);
  assert.match(String(await call("PUT", "/boot-source")), /Empty PUT request/);
});

test("before the start, during it and after it there is a time for each request", async () => {
  const { call, machine } = open();
  assert.match(String(await call("PUT", "/actions", { action_type: "InstanceStart" })), /without kernel/);
  for (const [method, path, body] of [
    ["PATCH", "/vm", { state: "Paused" }],
    ["PUT", "/snapshot/create", { mem_file_path: "m", snapshot_path: "s" }],
    ["PATCH", "/drives/a", { drive_id: "a" }],
  ] as const)
    assert.match(String(await call(method, path, body)), /not supported before starting/, path);
  const running = await openRunning();
  for (const [path, body] of [
    ["/boot-source", SOURCE],
    ["/vsock", { guest_cid: 3, uds_path: "v" }],
    ["/serial", { serial_out_path: "c" }],
    ["/actions", { action_type: "InstanceStart" }],
    ["/snapshot/load", LOAD],
  ] as const)
    assert.match(String(await running.call("PUT", path, body)), /not supported after starting/, path);
  assert.deepEqual(machine.calls, []);
  assert.deepEqual(running.machine.calls, ["start"]);
});

test("a machine is saved only while it is paused", async () => {
  const { call, machine } = await openRunning();
  const target = { mem_file_path: "m", snapshot_path: "s" };
  assert.match(String(await call("PUT", "/snapshot/create", target)), /Cannot save the microVM state/);
  assert.equal(await call("PATCH", "/vm", { state: "Paused" }), 204);
  assert.equal(await call("PUT", "/snapshot/create", target), 204);
  assert.equal(await call("PATCH", "/vm", { state: "Resumed" }), 204);
  assert.deepEqual(machine.calls, ["start", "pause", "save m s", "resume"]);
});

test("a machine is loaded only into a fresh process, and a load that fails ends it", async () => {
  const configured = open();
  await configured.call("PUT", "/vsock", { guest_cid: 3, uds_path: "v" });
  assert.match(String(await configured.call("PUT", "/snapshot/load", LOAD)), /not allowed after configuring/);
  const fresh = open();
  assert.equal(await fresh.call("PUT", "/serial", { serial_out_path: "c" }), 204);
  assert.match(
    String(await fresh.call("PUT", "/snapshot/load", { ...LOAD, mem_file_path: "m" })),
    /too many fields: either `mem/,
  );
  assert.match(String(await fresh.call("PUT", "/snapshot/load", { snapshot_path: "s" })), /missing field: either `mem/);
  assert.equal(await fresh.call("PUT", "/snapshot/load", LOAD), 204);
  assert.equal(fresh.firecracker.state, "Paused");
  const failing = open();
  const ended = new Promise<string>((resolve) => {
    failing.firecracker.onFatal = resolve;
  });
  failing.machine.failure = "bad state file";
  assert.match(String(await failing.call("PUT", "/snapshot/load", LOAD)), /bad state file/);
  assert.match(await ended, /bad state file/);
});

test("a release refuses what came after it", async () => {
  assert.match(String(await open("1.13.0").call("PUT", "/serial", { serial_out_path: "c" })), /Invalid request method/);
  assert.equal(await open("1.14.0").call("PUT", "/serial", { serial_out_path: "c" }), 204);
  const override = { ...LOAD, vsock_override: { uds_path: "v" } };
  assert.match(String(await open("1.15.0").call("PUT", "/snapshot/load", override)), /unknown field/);
  assert.equal(await open("1.16.0").call("PUT", "/snapshot/load", override), 204);
});
