import assert from "node:assert/strict";
import { test } from "node:test";
import type { Forward } from "../../contract/forward.ts";
import type { Snapshot } from "../../contract/snapshot.ts";
import type { Vm } from "../../contract/vm.ts";
import { vmFacts } from "./vm-facts.ts";

const VM: Vm = {
  id: "322dc3f8cf22",
  name: "web",
  state: "running",
  image: "debian",
  imageDigest: `sha256:${"0".repeat(64)}`,
  kernelId: "debian-1",
  memoryMib: 512,
  cpus: 1,
  diskMib: 2048,
  driver: "qemu",
  origin: "template",
  labels: {},
  network: { mode: "none" },
  secrets: [],
  drives: [],
  mounts: [],
  restart: { policy: "never" },
  restartCount: 0,
  onExpiry: "stop",
  ephemeral: false,
  createdAt: new Date(0).toISOString(),
};
const READY = { id: "abcdefabcdef", name: "ready" } as Snapshot;

const KNOWN = { vm: VM, snapshots: [], forwards: [], stats: undefined };

function factsOf(changes: Partial<Vm>, snapshots: Snapshot[] = []): Record<string, string | undefined> {
  return Object.fromEntries(vmFacts({ ...KNOWN, vm: { ...VM, ...changes }, snapshots }));
}

test("a state that is not plain says how to go on", () => {
  assert.equal(factsOf({}).state, "running");
  assert.match(factsOf({ state: "paused" }).state ?? "", /firebreak vm resume web/);
  assert.match(factsOf({ state: "suspended" }).state ?? "", /next use brings it back/);
  assert.equal(factsOf({ state: "crashed", reason: "a panic" }).state, "crashed: a panic");
});

test("the snapshot that a VM comes from has its name, or its id once it is deleted", () => {
  assert.equal(factsOf({}).snapshot, undefined);
  assert.equal(factsOf({ snapshot: READY.id }, [READY]).snapshot, "ready");
  assert.equal(factsOf({ snapshot: READY.id }).snapshot, "abcdefabcdef (deleted)");
});

test("an idle timeout is told where there is one", () => {
  assert.equal(factsOf({})["idle timeout"], undefined);
  assert.equal(factsOf({ idleTimeoutMs: 600_000 })["idle timeout"], "10 min");
});

test("drives and volumes are told with where they are, how they may be used, and why one is missing", () => {
  const attached = { readOnly: false, state: "attached" } as const;
  const drives = [
    { ...attached, id: "1", name: "data", format: "ext4", path: "/data" },
    { ...attached, id: "2", name: "disk", format: "raw", readOnly: true },
    { ...attached, id: "3", name: "lost", format: "ext4", path: "/lost", state: "detaching", reason: "it is gone" },
  ] satisfies Vm["drives"];
  const lines = vmFacts({ ...KNOWN, vm: { ...VM, drives } }).filter(
    ([label]) => label === "drive" || label === "volume",
  );
  assert.deepEqual(lines, [
    ["volume", "data at /data (writable)"],
    ["drive", "disk (read-only)"],
    ["volume", "lost at /lost (writable, detaching; failed: it is gone)"],
  ]);
  assert.deepEqual(
    vmFacts(KNOWN).filter(([label]) => label === "drive" || label === "volume"),
    [],
  );
});

test("a VM's forwards are shown, with why one does not listen", () => {
  const forward: Forward = {
    id: "f1",
    vm: { id: VM.id, name: VM.name },
    hostAddress: "127.0.0.1",
    hostPort: 8080,
    guestPort: 80,
    state: "listening",
    connections: { open: 0, total: 0, refused: 0 },
    bytes: { toGuest: 0, fromGuest: 0 },
    createdAt: "2026-01-01T00:00:00.000Z",
  };
  const failed: Forward = { ...forward, id: "f2", hostAddress: "::1", state: "failed", reason: "the port is in use" };
  const lines = vmFacts({ ...KNOWN, forwards: [forward, failed] }).filter(([label]) => label === "forward");
  assert.deepEqual(lines, [
    ["forward", "127.0.0.1:8080 to 80 (listening, f1)"],
    ["forward", "[::1]:8080 to 80 (failed: the port is in use, f2)"],
  ]);
});
