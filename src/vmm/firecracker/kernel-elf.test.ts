import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ensureKernelElf, unpackKernel } from "./kernel-elf.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "fb-elf-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const ELF = Buffer.concat([Buffer.from("\x7fELF", "latin1"), Buffer.from("abcabcabcabcabcabcab".repeat(20))]);

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** A frame of one block, made by hand: "\x7fELFabc", a match that overlaps itself, and the last literals. */
function lz4Frame(content: Buffer): Buffer {
  const period = 20;
  const head = content.subarray(0, 4 + period);
  const tailLength = 12;
  const matchLength = content.length - head.length - tailLength;
  const lengthBytes = (length: number) => {
    const bytes: number[] = [];
    for (let left = length - 15; left >= 0; left -= 255) bytes.push(Math.min(left, 255));
    return bytes;
  };
  const block = Buffer.concat([
    Buffer.from([0xff, ...lengthBytes(head.length)]),
    head,
    Buffer.from([period, 0, ...lengthBytes(matchLength - 4)]),
    Buffer.from([tailLength << 4]),
    content.subarray(-tailLength),
  ]);
  return Buffer.concat([u32(0x184c2102), u32(block.length), block]);
}

function bzImage(payload: Buffer): Buffer {
  const setupSectors = 1;
  const head = Buffer.alloc((setupSectors + 1) * 512 + 16);
  head[0x1f1] = setupSectors;
  head.write("HdrS", 0x202);
  head.writeUInt32LE(16, 0x248);
  head.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([head, payload, Buffer.alloc(64)]);
}

test("a kernel is unpacked, whatever it is packed with", () => {
  const packed = {
    lz4: Buffer.concat([lz4Frame(ELF), u32(ELF.length)]),
    zstd: Buffer.concat([zstdCompressSync(ELF), u32(ELF.length)]),
    gzip: gzipSync(ELF),
  };
  for (const [name, payload] of Object.entries(packed))
    assert.deepEqual(unpackKernel(bzImage(payload), name), ELF, name);
});

test("what is no kernel, or is cut short or altered, is refused with what to do", () => {
  const whole = bzImage(Buffer.concat([lz4Frame(ELF), u32(ELF.length)]));
  const refuse = (image: Buffer, message: RegExp) =>
    assert.throws(() => unpackKernel(image, "k"), { code: "VMM_START_FAILED", message });
  refuse(Buffer.alloc(4096), /no bzImage/);
  refuse(whole.subarray(0, whole.length - 70), /no bzImage/);
  refuse(bzImage(Buffer.concat([Buffer.from("BZh9"), u32(9)])), /not packed with/);
  refuse(bzImage(Buffer.concat([lz4Frame(ELF), u32(ELF.length * 2)])), /does not unpack/);
  refuse(bzImage(Buffer.concat([lz4Frame(ELF).subarray(0, -20), u32(ELF.length)])), /does not unpack/);
  refuse(bzImage(gzipSync(Buffer.alloc(100))), /no ELF/);
});

test("a match before the start of its block is refused: it would read what is not the frame's", () => {
  const frame = lz4Frame(ELF);
  const offsetAt = 4 + 4 + 2 + 24;
  assert.equal(frame[offsetAt], 20, "the match's offset");
  frame[offsetAt] = 200;
  assert.throws(() => unpackKernel(bzImage(Buffer.concat([frame, u32(ELF.length)])), "k"), {
    message: /out of bounds/,
  });
});

test("the ELF is made once, made again when it was cut short, and one that is one already stays where it is", async () => {
  const image = path.join(folder, "vmlinuz");
  await writeFile(image, bzImage(Buffer.concat([lz4Frame(ELF), u32(ELF.length)])));
  const elf = await ensureKernelElf(image, path.join(folder, "elf"));
  assert.deepEqual(await readFile(elf), ELF);
  const { mtimeMs } = await stat(elf);
  assert.equal(await ensureKernelElf(image, path.join(folder, "elf")), elf);
  assert.equal((await stat(elf)).mtimeMs, mtimeMs);
  rmSync(elf);
  await writeFile(elf, "half");
  await ensureKernelElf(image, path.join(folder, "elf"));
  assert.deepEqual(await readFile(elf), ELF);
  assert.equal(await ensureKernelElf(elf, folder), elf);
});

test("VMs that start at once all get a whole one, and nothing else is left", async () => {
  const image = path.join(folder, "vmlinuz-at-once");
  const large = Buffer.concat([ELF, Buffer.alloc(8 * 1024 * 1024, "abc")]);
  await writeFile(image, bzImage(gzipSync(large)));
  const own = path.join(folder, "at-once");
  const made = await Promise.all(
    Array.from({ length: 6 }, () => ensureKernelElf(image, own).then((elf) => readFile(elf))),
  );
  for (const elf of made) assert.ok(elf.equals(large));
  assert.equal(readdirSync(own).length, 1);
});
