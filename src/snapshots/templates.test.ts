import assert from "node:assert/strict";
import { test } from "node:test";
import { baseDiskMib, type TemplateSpec, templateId } from "./templates.ts";

const spec: TemplateSpec = {
  image: { name: "debian", digest: "sha256:1", rootfsPath: "/images/1/rootfs" },
  kernel: { kernelId: "debian-6.1", kernelPath: "/kernels/1/vmlinuz", initrdPath: "/kernels/1/initrd-aaaa.cpio" },
  memoryMib: 512,
  cpus: 1,
  driver: "qemu",
  accel: "tcg",
  diskMib: 2048,
};
const host = { vmm: "qemu 7.2.22", machine: "microvm,acpi=on", tscKhz: 2_600_000 };
const id = (changes: Partial<TemplateSpec> = {}, traits: Record<string, string | number> = host) =>
  templateId({ ...spec, ...changes }, traits);

test("a template's id is a folder's name, and the same each time", () => {
  assert.match(id(), /^[0-9a-f]{16}$/);
  assert.equal(id(), id());
});

test("another of anything that a template depends on is another template", () => {
  const others: [string, string][] = [
    ["image digest", id({ image: { ...spec.image, digest: "sha256:2" } })],
    ["kernel", id({ kernel: { ...spec.kernel, kernelId: "debian-6.2" } })],
    ["agent", id({ kernel: { ...spec.kernel, initrdPath: "/kernels/1/initrd-bbbb.cpio" } })],
    ["kernel arguments", id({ kernel: { ...spec.kernel, kernelArgs: ["quiet"] } })],
    ["memory", id({ memoryMib: 513 })],
    ["vCPUs", id({ cpus: 2 })],
    ["accelerator", id({ accel: "kvm" })],
    ["base disk", id({ diskMib: 512 })],
    ["VMM version", id({}, { ...host, vmm: "qemu 10.0.0" })],
    ["machine options", id({}, { ...host, machine: "microvm,acpi=off" })],
    ["a trait more", id({}, { ...host, cpu: "EPYC" })],
  ];
  const ids = [id(), ...others.map(([, other]) => other)];
  for (const [what, other] of others) assert.notEqual(other, id(), what);
  assert.equal(new Set(ids).size, ids.length);
});

test("what does not show in a guest makes no other template", () => {
  assert.equal(id({ image: { ...spec.image, name: "latest", rootfsPath: "/elsewhere/rootfs" } }), id());
  assert.equal(id({ kernel: { ...spec.kernel, kernelPath: "/a/vmlinuz", initrdPath: "/b/initrd-aaaa.cpio" } }), id());
  assert.equal(id({ diskMib: 3000 }), id(), "the disk grows in the fork");
  // A clock is measured anew at each boot of the host; a template found for the id is compared with it, nearly.
  assert.equal(id({}, { ...host, tscKhz: 2_600_001 }), id());
});

test("neighbouring inputs do not run together", () => {
  assert.notEqual(id({ memoryMib: 51, cpus: 21 }), id({ memoryMib: 512, cpus: 1 }));
  const args = (kernelArgs: string[]) => id({ kernel: { ...spec.kernel, kernelArgs } });
  assert.notEqual(args(["a", "b"]), args(["a b"]));
});

test("a VM is forked from the largest base that fits its disk", () => {
  const cases = [
    [64, 64],
    [511, 64],
    [512, 512],
    [2047, 512],
    [2048, 2048],
    [1024 * 1024, 2048],
  ] as const;
  for (const [diskMib, base] of cases) assert.equal(baseDiskMib(diskMib), base, `${diskMib} MiB`);
  assert.equal(baseDiskMib(10), 10, "one smaller than all bases is its own");
});
