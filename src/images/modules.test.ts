import assert from "node:assert/strict";
import { test } from "node:test";
import { moduleName, orderModules, readModuleInfo } from "./modules.ts";

test("a module's name has underscores and neither folder nor suffix", () => {
  assert.equal(moduleName("kernel/drivers/char/hw_random/virtio-rng.ko"), "virtio_rng");
});

test("each module comes after what it depends on, once, otherwise in the order given", () => {
  const depends: Record<string, string[]> = {
    virtio_mmio: ["virtio", "virtio_ring"],
    virtio_blk: ["virtio", "virtio_ring"],
    virtio: ["virtio_ring"],
    virtio_ring: [],
    overlay: [],
  };
  const order = orderModules(["overlay", "virtio-mmio", "virtio_blk"], (name) => depends[name], assert.fail);
  assert.deepEqual(order, ["overlay", "virtio_ring", "virtio", "virtio_mmio", "virtio_blk"]);
});

test("a missing dependency is told and the rest still comes", () => {
  const missing: string[] = [];
  const depends: Record<string, string[]> = { a: ["gone"] };
  const order = orderModules(
    ["a"],
    (name) => depends[name],
    (name) => missing.push(name),
  );
  assert.deepEqual([order, missing], [["a"], ["gone"]]);
});

test("a circle of dependencies ends", () => {
  const depends: Record<string, string[]> = { a: ["b"], b: ["a"] };
  assert.deepEqual(
    orderModules(["a"], (name) => depends[name], assert.fail),
    ["b", "a"],
  );
});

test("dependencies are read out of the .modinfo section", () => {
  const file = elfWithSection(".modinfo", "license=GPL\0depends=virtio,virtio-ring\0name=virtio_blk\0");
  assert.deepEqual(readModuleInfo(file), { depends: ["virtio", "virtio_ring"] });
  assert.deepEqual(readModuleInfo(elfWithSection(".modinfo", "depends=\0")), { depends: [] });
});

test("bytes that are no module are a RangeError", () => {
  assert.throws(() => readModuleInfo(Buffer.from("not a module")), RangeError);
  assert.throws(() => readModuleInfo(elfWithSection(".text", "x")), RangeError);
  const cut = elfWithSection(".modinfo", "depends=\0").subarray(0, 80);
  assert.throws(() => readModuleInfo(cut), RangeError);
});

/** The smallest ELF64 with one named section. */
function elfWithSection(name: string, text: string): Buffer {
  const names = Buffer.from(`\0${name}\0.shstrtab\0`);
  const data = Buffer.from(text);
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeBigUInt64LE(BigInt(64 + names.length + data.length), 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(3, 0x3c);
  header.writeUInt16LE(2, 0x3e);
  const section = (nameAt: number, offset: number, size: number) => {
    const entry = Buffer.alloc(64);
    entry.writeUInt32LE(nameAt, 0);
    entry.writeBigUInt64LE(BigInt(offset), 0x18);
    entry.writeBigUInt64LE(BigInt(size), 0x20);
    return entry;
  };
  const sections = [
    section(0, 0, 0),
    section(1, 64 + names.length, data.length),
    section(2 + name.length, 64, names.length),
  ];
  return Buffer.concat([header, names, data, ...sections]);
}
