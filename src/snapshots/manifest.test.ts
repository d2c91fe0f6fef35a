import assert from "node:assert/strict";
import { test } from "node:test";
import { findHostConflict, type Manifest, manifestSchema } from "./manifest.ts";

const digest = "a".repeat(64);
const manifest: Manifest = {
  format: 1,
  id: "0123456789ab",
  name: "warm",
  createdAt: "2026-01-02T03:04:05.678Z",
  machine: { memoryMib: 512, cpus: 1, diskMib: 2048, driver: "qemu", driverVersion: "7.2.22", accel: "tcg" },
  host: { vmm: "qemu 7.2.22", tscKhz: 2_596_000 },
  image: "debian",
  imageDigest: `sha256:${digest}`,
  kernelId: "k",
  agent: { generation: 1, features: ["boot-id"] },
  memory: { sha256: digest, dataBytes: 1 },
  state: { sha256: digest, sizeBytes: 1 },
  overlay: { sha256: digest, dataBytes: 1, sizeBytes: 1 },
  policy: { mode: "none" },
  vm: { id: "0123456789ab", name: "web", env: {} },
  stoppedMs: 12.5,
};
const accepts = (changes: object) => manifestSchema.safeParse({ ...manifest, ...changes }).success;

test("a manifest is read back as it was written", () => {
  assert.deepEqual(manifestSchema.parse(JSON.parse(JSON.stringify(manifest))), manifest);
});

test("a manifest with anything unknown in it, or of another format, is refused", () => {
  assert.equal(accepts({ surprise: 1 }), false);
  assert.equal(accepts({ machine: { ...manifest.machine, rng: true } }), false);
  assert.equal(accepts({ format: 2 }), false);
  // A policy that this firebreak does not know could be a wider one.
  assert.equal(accepts({ policy: { network: "all" } }), false);
  assert.equal(accepts({ policy: { mode: "all" } }), false);
  assert.equal(accepts({ policy: { network: "none" } }), true, "as it was written before there were policies");
});

test("a manifest's ids and digests are of their form: they become paths and command lines", () => {
  for (const id of ["../../etc", "a/b", ".", "..", "", "0123456789A0", "0123456789ab\n", `${"a".repeat(65)}`])
    assert.equal(accepts({ id }), false, JSON.stringify(id));
  for (const name of ["../x", "a b", "-a", ""]) assert.equal(accepts({ name }), false, name);
  const vm = (changes: object) => accepts({ vm: { ...manifest.vm, ...changes } });
  assert.equal(vm({}), true);
  for (const id of ["../../../etc", "a/b", "", "web"]) assert.equal(vm({ id }), false, id);
  assert.equal(vm({ name: "../x" }), false);
  assert.equal(vm({ env: { "A=B": "c" } }), false);
  assert.equal(accepts({ parent: "../x" }), false);
  assert.equal(accepts({ imageDigest: "debian" }), false, "the name of something to be built");
  assert.equal(accepts({ memory: { sha256: "a".repeat(63), dataBytes: 1 } }), false);
  assert.equal(accepts({ memory: { sha256: `${"a".repeat(63)}G`, dataBytes: 1 } }), false);
});

test("a manifest's numbers are those that a VM can have", () => {
  const machine = (changes: object) => accepts({ machine: { ...manifest.machine, ...changes } });
  for (const memoryMib of [0, -1, 1.5, 2 ** 53, Number.NaN, "512"]) assert.equal(machine({ memoryMib }), false);
  for (const cpus of [0, 65, 1e9]) assert.equal(machine({ cpus }), false);
  for (const diskMib of [0, 2 ** 40]) assert.equal(machine({ diskMib }), false);
  assert.equal(machine({ accel: "hvf" }), false);
  assert.equal(accepts({ state: { sha256: digest, sizeBytes: -1 } }), false);
  assert.equal(accepts({ overlay: { ...manifest.overlay, sizeBytes: 0.5 } }), false);
  assert.equal(accepts({ stoppedMs: -1 }), false);
});

test("what a manifest may leave out: name, drive, VM and parent", () => {
  const { name: _name, overlay: _overlay, vm: _vm, ...rest } = manifest;
  assert.equal(manifestSchema.safeParse(rest).success, true);
  const { memory: _memory, ...without } = manifest;
  assert.equal(manifestSchema.safeParse(without).success, false);
});

test("equal hosts have no conflict", () => {
  assert.equal(findHostConflict({ vmm: "qemu 7.2.22", tscKhz: 1 }, { tscKhz: 1, vmm: "qemu 7.2.22" }), undefined);
  assert.equal(findHostConflict({}, {}), undefined);
});

test("another word is a conflict, and is named", () => {
  assert.equal(
    findHostConflict({ vmm: "qemu 7.2.22" }, { vmm: "qemu 10.0.0" }),
    "vmm was qemu 7.2.22 and is qemu 10.0.0 here",
  );
});

test("a number may differ by what its measurement does, and no more", () => {
  assert.equal(findHostConflict({ tscKhz: 2_600_000 }, { tscKhz: 2_604_000 }), undefined);
  assert.equal(findHostConflict({ tscKhz: 2_604_000 }, { tscKhz: 2_600_000 }), undefined);
  assert.match(findHostConflict({ tscKhz: 2_600_000 }, { tscKhz: 2_607_000 }) ?? "", /^tscKhz was 2600000/);
  assert.match(findHostConflict({ tscKhz: 2_607_000 }, { tscKhz: 2_600_000 }) ?? "", /^tscKhz was 2607000/);
});

test("a trait that only one side knows, or of another type, is a conflict", () => {
  assert.match(findHostConflict({ cpu: "x" }, {}) ?? "", /cpu was x and is not known here/);
  assert.match(findHostConflict({}, { cpu: "x" }) ?? "", /cpu was not known and is x here/);
  assert.match(findHostConflict({ cpu: "1" }, { cpu: 1 }) ?? "", /cpu/);
});
