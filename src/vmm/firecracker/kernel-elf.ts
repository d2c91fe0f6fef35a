import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { writeAtomic } from "../../platform/write-atomic.ts";
import { unpackLz4Legacy } from "./lz4.ts";

/** Where the parts of an x86 kernel's file are (Documentation/arch/x86/boot.rst of Linux). */
const BOOT = { setupSectors: 0x1f1, magic: 0x202, payloadOffset: 0x248, payloadLength: 0x24c, end: 0x250 };
const BOOT_MAGIC = "HdrS";
const SECTOR_BYTES = 512;
const ELF_MAGIC = 0x7f454c46;
/** "ARM\x64" of an arm64 Image (Documentation/arch/arm64/booting.rst), which Firecracker takes as it is. */
const ARM64_MAGIC = { at: 0x38, value: 0x644d5241 };
/** Debian's unpacks to 53 MB: what says more than this is no kernel. */
const MAX_ELF_BYTES = 512 * 1024 * 1024;

/**
 * The kernel as Firecracker loads it: up to 1.16 it takes an uncompressed ELF on x86-64 and no bzImage. One that is none is unpacked once,
 * into `folder`, by its digest. Throws VMM_START_FAILED for what is no kernel, or is packed in a way that nobody here unpacks.
 */
export async function ensureKernelElf(kernelPath: string, folder: string): Promise<string> {
  const image = await readFile(kernelPath);
  if (isBootable(image)) return kernelPath;
  const digest = createHash("sha256").update(image).digest("hex");
  const file = path.join(folder, `vmlinux-${digest.slice(0, 16)}`);
  const size = unpackedSize(image);
  if (size === undefined) throw notAKernel(kernelPath, "it is neither an ELF file nor a bzImage");
  if ((await stat(file).catch(() => undefined))?.size === size) return file;
  const elf = unpackKernel(image, kernelPath);
  await mkdir(folder, { recursive: true });
  // VMs that start at once each write their own.
  await writeAtomic(file, elf, 0o444);
  return file;
}

function isBootable(image: Buffer): boolean {
  if (image.length < 64) return false;
  return image.readUInt32BE(0) === ELF_MAGIC || image.readUInt32LE(ARM64_MAGIC.at) === ARM64_MAGIC.value;
}

/** A bzImage's ELF. Pure. Throws VMM_START_FAILED. */
export function unpackKernel(image: Buffer, name: string): Buffer {
  const payload = payloadOf(image);
  const size = unpackedSize(image);
  if (payload === undefined || size === undefined) throw notAKernel(name, "it is no bzImage");
  const elf = unpack(payload, size, name);
  if (elf.length < 64 || elf.readUInt32BE(0) !== ELF_MAGIC) throw notAKernel(name, "what it holds is no ELF file");
  return elf;
}

function unpack(payload: Buffer, size: number, name: string): Buffer {
  const magic = payload.readUInt32BE(0);
  try {
    if (magic === 0x02214c18) return unpackLz4Legacy(payload, size);
    if (magic === 0x28b52ffd) return zstdDecompressSync(payload.subarray(0, -4), { maxOutputLength: size });
    if (magic >>> 16 === 0x1f8b) return gunzipSync(payload, { maxOutputLength: size });
  } catch (error) {
    throw notAKernel(name, `it does not unpack: ${(error as Error).message}`);
  }
  throw notAKernel(name, "it is not packed with LZ4, zstd or gzip");
}

function payloadOf(image: Buffer): Buffer | undefined {
  if (image.length < BOOT.end || image.toString("latin1", BOOT.magic, BOOT.magic + 4) !== BOOT_MAGIC) return undefined;
  // "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
  const setupSectors = image[BOOT.setupSectors] || 4;
  const start = (setupSectors + 1) * SECTOR_BYTES + image.readUInt32LE(BOOT.payloadOffset);
  const length = image.readUInt32LE(BOOT.payloadLength);
  return length < 8 || start + length > image.length ? undefined : image.subarray(start, start + length);
}

/** All of the kernel's packers end with the unpacked size (scripts/Makefile.lib, "size_append"; gzip's own trailer is the same). */
function unpackedSize(image: Buffer): number | undefined {
  const payload = payloadOf(image);
  const size = payload?.readUInt32LE(payload.length - 4);
  return size !== undefined && size <= MAX_ELF_BYTES ? size : undefined;
}

function notAKernel(name: string, why: string): FirebreakError {
  return new FirebreakError("VMM_START_FAILED", `Firecracker cannot boot ${name}: ${why}`, {
    hint: "Fetch the kernel again with 'firebreak kernel use stock', or build one with 'firebreak kernel build'.",
  });
}
