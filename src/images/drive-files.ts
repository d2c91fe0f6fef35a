import { mkdir, open, rename, rm } from "node:fs/promises";
import { HostTree } from "../archive/host-tree.ts";
import { DEFAULT_LIMITS } from "../archive/tar-reader.ts";
import { asArchiveError, unpackTo } from "../archive/unpack.ts";
import type { DriveFormat } from "../contract/attachment.ts";
import { CONTENT_FACTOR, DEFAULT_DRIVE_MIB } from "../contract/drive.ts";
import { MAX_DISK_MIB } from "../contract/vm.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { throwIfAborted } from "../platform/abort.ts";
import type { DriveFiles } from "../vms/ports.ts";
import { formatExt4 } from "./ext4.ts";
import { removeTree } from "./work-dir.ts";

const MIB = 2 ** 20;
/** What an entry takes besides its bytes: its inode, its name, the unused end of its last block. */
const ENTRY_BYTES = 4096;
/** The magic number of ext2 to ext4, and where it is. */
const EXT4_MAGIC = 0xef53;
const EXT4_MAGIC_AT = 1024 + 0x38;

/** Drives as sparse files. Each is made beside its place and renamed into it. */
export class HostDriveFiles implements DriveFiles {
  async makeBlank(file: string, format: DriveFormat, sizeMib: number, signal?: AbortSignal): Promise<void> {
    await inPlace(file, async (made) => {
      await makeHole(made, sizeMib);
      if (format === "ext4") await formatExt4(made, { sizeMib, ...(signal && { signal }) });
    });
  }

  makeFromBytes(
    file: string,
    bytes: AsyncIterable<Buffer>,
    wantedMib: number | undefined,
    signal?: AbortSignal,
  ): Promise<{ format: DriveFormat; sizeMib: number }> {
    return inPlace(file, async (made) => {
      const limit = (wantedMib ?? MAX_DISK_MIB) * MIB;
      const contentBytes = await writeSparse(made, bytes, limit, signal);
      const sizeMib = wantedMib ?? sizeFor(contentBytes);
      await makeHole(made, sizeMib);
      return { format: await readFormat(made), sizeMib };
    });
  }

  makeFromTar(
    file: string,
    archive: AsyncIterable<Buffer>,
    wantedMib: number | undefined,
    signal?: AbortSignal,
  ): Promise<{ format: DriveFormat; sizeMib: number }> {
    const work = `${file}.work`;
    return inPlace(file, async (made) => {
      try {
        await removeTree(work);
        const { entries, bytes } = await unpackArchive(work, archive, wantedMib);
        throwIfAborted(signal);
        const sizeMib = wantedMib ?? sizeFor(bytes + entries * ENTRY_BYTES);
        await makeHole(made, sizeMib);
        await formatExt4(made, { sizeMib, content: { folder: work, entries }, ...(signal && { signal }) });
        return { format: "ext4" as const, sizeMib };
      } finally {
        await removeTree(work);
      }
    });
  }
}

function sizeFor(contentBytes: number): number {
  return Math.max(Math.ceil((contentBytes * CONTENT_FACTOR) / MIB), DEFAULT_DRIVE_MIB);
}

async function inPlace<T>(file: string, make: (made: string) => Promise<T>): Promise<T> {
  const made = `${file}.new`;
  await rm(made, { force: true });
  try {
    const result = await make(made);
    await rename(made, file);
    return result;
  } catch (error) {
    await rm(made, { force: true });
    // A full disk is one by its errno, too.
    throw toFirebreakError(error);
  }
}

/** The file, made if there is none, is as long as its drive; what nobody wrote takes no room. */
async function makeHole(file: string, sizeMib: number): Promise<void> {
  const handle = await open(file, "a", 0o600);
  try {
    await handle.truncate(sizeMib * MIB);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Zeros are not written. Returns how many bytes there were. */
async function writeSparse(
  file: string,
  source: AsyncIterable<Buffer>,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  const handle = await open(file, "wx", 0o600);
  let at = 0;
  try {
    for await (const chunk of source) {
      throwIfAborted(signal);
      if (at + chunk.length > limit) throw doesNotFit();
      if (!isZero(chunk)) await writeAll(handle, chunk, at);
      at += chunk.length;
    }
    return at;
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, chunk: Buffer, at: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await handle.write(chunk, done, chunk.length - done, at + done)).bytesWritten;
  }
}

const ZEROS = Buffer.alloc(64 * 1024);

function isZero(chunk: Buffer): boolean {
  for (let at = 0; at < chunk.length; at += ZEROS.length) {
    const part = chunk.subarray(at, at + ZEROS.length);
    if (!part.equals(ZEROS.subarray(0, part.length))) return false;
  }
  return true;
}

/** Of a file whose content may be anything: only whether it looks like a file system that guests can mount. */
async function readFormat(file: string): Promise<DriveFormat> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, EXT4_MAGIC_AT);
    return bytesRead === 2 && buffer.readUInt16LE(0) === EXT4_MAGIC ? "ext4" : "raw";
  } finally {
    await handle.close();
  }
}

async function unpackArchive(
  work: string,
  archive: AsyncIterable<Buffer>,
  sizeMib: number | undefined,
): Promise<{ entries: number; bytes: number }> {
  await mkdir(work, { mode: 0o700 });
  const limits = sizeMib === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, maxBytes: sizeMib * MIB };
  const tree = await HostTree.open(work);
  try {
    return await unpackTo(tree, archive, limits);
  } catch (error) {
    throw asArchiveError(error);
  } finally {
    await tree.close();
  }
}

function doesNotFit(): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", "the content does not fit the drive", {
    hint: "Give a larger --size, or none: then it is made as large as its content wants.",
    details: { field: "sizeMib" },
  });
}
