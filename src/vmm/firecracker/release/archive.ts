import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { confinePath } from "../../../archive/confined-path.ts";
import { readTar } from "../../../archive/tar-reader.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import type { HostArch } from "./elf.ts";

/** What is taken out of a release's archive. */
export interface ReleasePrograms {
  /** Of the folder's name, without a leading "v". */
  version: string;
  firecracker: Buffer;
  jailer: Buffer;
}

/** Releases have some twenty files, the largest of them with what debuggers need. */
const LIMITS = { maxEntries: 200, maxBytes: 2 * 1024 ** 3 };
/** Of a program, and of the list of digests: both are held in memory. */
const MAX_PROGRAM_BYTES = 64 * 1024 ** 2;
const MAX_SUMS_BYTES = 64 * 1024;

/**
 * Reads a release as GitHub has it: `release-vX.Y.Z-ARCH/` with `firecracker-vX.Y.Z-ARCH`, `jailer-vX.Y.Z-ARCH` and SHA256SUMS, which both programs are
 * compared with. Nothing of it is written anywhere. Throws VMM_RELEASE_INVALID for another architecture, links, names that leave the archive, more than there is
 * in any release, and what is missing or has another digest.
 */
export async function readReleaseArchive(file: string, arch: HostArch): Promise<ReleasePrograms> {
  const found = new Map<string, Buffer>();
  let folder: string | undefined;
  const source = createReadStream(file);
  const unpacked = source.pipe(createGunzip());
  // pipe() passes no errors on.
  source.once("error", (error) => unpacked.destroy(error));
  try {
    for await (const entry of readTar(unpacked, LIMITS)) {
      const name = confinePath(entry.path).toString("latin1");
      const [top = "", base, ...deeper] = name.split("/");
      if (entry.type !== "file" && entry.type !== "directory")
        throw invalid(`it holds a link or a device, ${show(name)}`);
      if (name === "") continue;
      folder ??= top;
      if (top !== folder || deeper.length > 0) throw invalid(`it holds ${show(name)}, which no release does`);
      if (base === undefined || !isWanted(base)) continue;
      if (entry.type === "directory" || found.has(base))
        throw invalid(`it holds ${show(name)} twice, or as a directory`);
      found.set(base, await readAll(entry.content, base === SUMS ? MAX_SUMS_BYTES : MAX_PROGRAM_BYTES, name));
    }
  } catch (error) {
    throw asInvalid(error);
  } finally {
    source.destroy();
    unpacked.destroy();
  }
  return pick(folder ?? "", found, arch);
}

const SUMS = "SHA256SUMS";

function isWanted(base: string): boolean {
  return base === SUMS || (/^(firecracker|jailer)-v/.test(base) && !base.endsWith(".debug"));
}

function pick(folder: string, found: ReadonlyMap<string, Buffer>, arch: HostArch): ReleasePrograms {
  const named = /^release-v(.{1,60})-(x86_64|aarch64)$/.exec(folder);
  if (named === null) throw invalid(`its folder is ${show(folder)}, and not release-vX.Y.Z-${arch}`);
  const [, version = "", of] = named;
  if (of !== arch) throw invalid(`it is for ${of}, and this host is ${arch}`);
  const sums = parseSums(found.get(SUMS)?.toString("utf8") ?? "");
  const take = (program: string): Buffer => {
    const name = `${program}-v${version}-${arch}`;
    const bytes = found.get(name);
    if (bytes === undefined) throw invalid(`it has no ${name}`);
    const expected = sums.get(name);
    if (expected === undefined) throw invalid(`its ${SUMS} does not name ${name}`);
    if (sha256(bytes) !== expected) throw invalid(`${name} has another digest than its ${SUMS} says`);
    return bytes;
  };
  return { version, firecracker: take("firecracker"), jailer: take("jailer") };
}

/** Lines of sha256sum(1): a digest, a space, a space or an asterisk, a name, which may begin with "./". Pure. */
export function parseSums(text: string): Map<string, string> {
  const lines = [...text.matchAll(/^([0-9a-f]{64}) [ *](?:\.\/)?(\S+)$/gm)];
  return new Map(lines.map(([, digest = "", name = ""]) => [name, digest]));
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readAll(content: AsyncIterable<Buffer>, maxBytes: number, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > maxBytes) throw invalid(`${show(name)} is larger than any release's`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** What is said of an archive stands behind its name. */
function asInvalid(error: unknown): FirebreakError {
  if (error instanceof FirebreakError && error.code === "VMM_RELEASE_INVALID") return error;
  return invalid(error instanceof Error ? error.message : String(error));
}

export function invalid(why: string): FirebreakError {
  return new FirebreakError("VMM_RELEASE_INVALID", `this is no release of Firecracker that can be installed: ${why}`);
}

function show(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}
