import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type HostArch, hostArch } from "../../../src/vmm/firecracker/release/elf.ts";
import { type Member, makeTar } from "../../support/tar-archive.ts";

export interface ProgramOptions {
  arch?: HostArch;
  /** It names an interpreter, as programs do that load libraries. */
  isDynamic?: boolean;
}

const BASE = 0x400000;
const HEAD_BYTES = 64 + 2 * 56;

/** A static program that prints some words and ends: an ELF file of one segment, with the machine code of write(2) and exit(2). */
export function makeProgram(words: string, { arch = hostArch(), isDynamic = false }: ProgramOptions = {}): Buffer {
  const text = Buffer.from(words);
  const code = arch === "x86_64" ? codeOfX86(text.length) : codeOfArm(text.length);
  const head = Buffer.alloc(HEAD_BYTES);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(head);
  head.writeUInt16LE(2, 0x10); // an executable
  head.writeUInt16LE(arch === "x86_64" ? 62 : 183, 0x12);
  head.writeUInt32LE(1, 0x14);
  head.writeBigUInt64LE(BigInt(BASE + HEAD_BYTES), 0x18); // where it starts
  head.writeBigUInt64LE(64n, 0x20); // where its segments are listed
  head.writeUInt16LE(64, 0x34);
  head.writeUInt16LE(56, 0x36);
  head.writeUInt16LE(isDynamic ? 2 : 1, 0x38);
  const size = BigInt(HEAD_BYTES + code.length + text.length);
  writeSegment(head, 64, 1, size);
  if (isDynamic) writeSegment(head, 120, 3, size);
  return Buffer.concat([head, code, text]);
}

function writeSegment(head: Buffer, at: number, type: number, size: bigint): void {
  head.writeUInt32LE(type, at);
  head.writeUInt32LE(5, at + 4); // read and execute
  head.writeBigUInt64LE(BigInt(BASE), at + 16);
  head.writeBigUInt64LE(BigInt(BASE), at + 24);
  head.writeBigUInt64LE(size, at + 32);
  head.writeBigUInt64LE(size, at + 40);
  head.writeBigUInt64LE(0x1000n, at + 48);
}

/** mov eax, 1; mov edi, 1; mov rsi, TEXT; mov edx, LENGTH; syscall; mov eax, 60; xor edi, edi; syscall */
function codeOfX86(length: number): Buffer {
  const code = Buffer.from("b801000000bf0100000048be0000000000000000ba000000000f05b83c00000031ff0f05", "hex");
  code.writeBigUInt64LE(BigInt(BASE + HEAD_BYTES + code.length), 12);
  code.writeUInt32LE(length, 21);
  return code;
}

/** mov x8, 64; mov x0, 1; adr x1, TEXT; mov x2, LENGTH; svc 0; mov x8, 93; mov x0, 0; svc 0 */
function codeOfArm(length: number): Buffer {
  const fromAdr = 24;
  const adr = 0x10000001 | ((fromAdr >> 2) << 5);
  const words = [
    0xd2800808,
    0xd2800020,
    adr,
    0xd2800002 | (length << 5),
    0xd4000001,
    0xd2800ba8,
    0xd2800000,
    0xd4000001,
  ];
  const code = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => void code.writeUInt32LE(word >>> 0, index * 4));
  return code;
}

export interface ReleaseChanges {
  arch?: HostArch;
  /** What the programs say, where that is not the version. */
  firecrackerSays?: string;
  jailerSays?: string;
  program?: ProgramOptions;
  /** Of the list of digests, which is right otherwise. */
  sums?: (text: string) => string;
  /** Of what is in the archive. */
  members?: (members: Member[]) => Member[];
}

/** An archive as the project publishes them, of programs that say their version and nothing else. */
export function makeRelease(version: string, changes: ReleaseChanges = {}): Buffer {
  const arch = changes.arch ?? hostArch();
  const folder = `release-v${version}-${arch}`;
  const program = { arch, ...changes.program };
  const files: Member[] = [
    file(
      `firecracker-v${version}-${arch}`,
      makeProgram(`Firecracker v${changes.firecrackerSays ?? version}\n`, program),
    ),
    file(`firecracker-v${version}-${arch}.debug`, "what a debugger needs"),
    file(`jailer-v${version}-${arch}`, makeProgram(`Jailer v${changes.jailerSays ?? version}\n`, program)),
    file("LICENSE", "a licence\n"),
  ];
  const sums = files.map(({ path, content = "" }) => `${sha256(content)}  ./${path}\n`).join("");
  const members: Member[] = [
    { path: `${folder}/` },
    ...[...files, file("SHA256SUMS", changes.sums?.(sums) ?? sums)].map((member) => ({
      ...member,
      path: `${folder}/${member.path}`,
    })),
  ];
  return gzipSync(makeTar(changes.members?.(members) ?? members));
}

const file = (path: string, content: string | Buffer): Member => ({ path, content, mode: 0o755 });

export function sha256(bytes: string | Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
