import assert from "node:assert/strict";
import { test } from "node:test";
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

function factsOf(changes: Partial<Vm>, snapshots: Snapshot[] = []): Record<string, string | undefined> {
  return Object.fromEntries(vmFacts({ ...VM, ...changes }, snapshots, undefined));
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
  const lines = vmFacts({ ...VM, drives }, [], undefined).filter(([label]) => label === "drive" || label === "volume");
  assert.deepEqual(lines, [
    ["volume", "data at /data (writable)"],
    ["drive", "disk (read-only)"],
    ["volume", "lost at /lost (writable, detaching; failed: it is gone)"],
  ]);
  assert.deepEqual(
    vmFacts(VM, [], undefined).filter(([label]) => label === "drive" || label === "volume"),
    [],
  );
});
