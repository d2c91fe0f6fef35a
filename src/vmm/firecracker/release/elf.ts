/** As `uname -m` names it, and releases do. */
export type HostArch = "x86_64" | "aarch64";

export function hostArch(arch: string = process.arch): HostArch {
  return arch === "arm64" ? "aarch64" : "x86_64";
}

/** What is asked of a program before it is run. */
export interface ElfFacts {
  /** Undefined for one that firebreak does not run on. */
  arch: HostArch | undefined;
  /** It names no program interpreter, so loads nothing of its host or jail. */
  isStatic: boolean;
}

const MAGIC = 0x7f454c46;
const HEADER_BYTES = 64;
const MACHINES: Record<number, HostArch> = { 62: "x86_64", 183: "aarch64" };
const PT_INTERP = 3;

/** Reads an ELF file's head (elf(5)); undefined for what is no 64-bit little-endian one. Pure. */
export function readElf(file: Buffer): ElfFacts | undefined {
  if (file.length < HEADER_BYTES || file.readUInt32BE(0) !== MAGIC || file[4] !== 2 || file[5] !== 1) return undefined;
  const tableOffset = Number(file.readBigUInt64LE(0x20));
  const entryBytes = file.readUInt16LE(0x36);
  const count = file.readUInt16LE(0x38);
  if (count === 0 || entryBytes < 56 || tableOffset + count * entryBytes > file.length) return undefined;
  const types = Array.from({ length: count }, (_, index) => file.readUInt32LE(tableOffset + index * entryBytes));
  return { arch: MACHINES[file.readUInt16LE(0x12)], isStatic: !types.includes(PT_INTERP) };
}
