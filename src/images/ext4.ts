import { open, rename, rm, stat } from "node:fs/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { runTool } from "./tools.ts";

/** Below this, ext4 with a journal leaves too little for an overlay's work folder and a package or two. */
export const MIN_OVERLAY_MIB = 64;

/** Far above any sensible disk; catches a size given in bytes. */
export const MAX_OVERLAY_MIB = 16 * 1024 * 1024;

/** The label by which people and tools may know the drive; the guest goes by the drive's serial. */
const LABEL = "fb-overlay";

/**
 * Makes a sparse file with an empty ext4, to lie over an image in a VM. Takes about 10 ms and 1 MiB of disk whatever the
 * size: the guest's kernel initialises inode tables as it needs them. Throws INVALID_ARGUMENT, TOOL_NOT_FOUND, TOOL_FAILED
 * or HOST_DISK_FULL; then there is no file.
 */
export async function createOverlayDrive(
  file: string,
  sizeMib: number,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  if (!Number.isSafeInteger(sizeMib) || sizeMib < MIN_OVERLAY_MIB || sizeMib > MAX_OVERLAY_MIB) {
    throw new FirebreakError("INVALID_ARGUMENT", `a disk of ${sizeMib} MiB is not possible`, {
      hint: `Give a whole number of MiB from ${MIN_OVERLAY_MIB} to ${MAX_OVERLAY_MIB}.`,
    });
  }
  if ((await stat(file).catch(() => undefined)) !== undefined) {
    throw new FirebreakError("INVALID_ARGUMENT", `${file} exists already; it was not formatted`);
  }
  const temporary = `${file}.new`;
  // What an earlier attempt left when it was killed.
  await rm(temporary, { force: true });
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.truncate(sizeMib * 2 ** 20);
    } finally {
      await handle.close();
    }
    await formatExt4(temporary, { sizeMib, label: LABEL, ...options });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export interface Ext4Options {
  sizeMib: number;
  label?: string;
  /** What it holds from the start: a folder of this host, of which everything becomes root's, and how many entries that has. */
  content?: { folder: string; entries: number };
  signal?: AbortSignal;
}

/** Makes an ext4 in a file of that size, without root. Throws INVALID_ARGUMENT when the content does not fit. */
export async function formatExt4(file: string, options: Ext4Options): Promise<void> {
  const { content, signal } = options;
  const command = ["mkfs.ext4", ...formatArguments(file, options)];
  // mkfs takes owners over with files: for a user who is not root, a namespace makes them root's.
  const isMapped = content !== undefined && process.getuid?.() !== 0;
  const [program, ...args] = isMapped ? ["unshare", "--map-root-user", "--", ...command] : command;
  await runTool(program as string, args, { name: "mkfs.ext4", ...(signal && { signal }) }).catch((error: unknown) => {
    const words = (error as Error).message;
    if (content === undefined || !/Could not allocate|allocate (block|inode)|ext2 filesystem/i.test(words)) throw error;
    throw new FirebreakError("INVALID_ARGUMENT", `the content does not fit a drive of ${options.sizeMib} MiB`, {
      cause: error,
      hint: "Give a larger --size, or none: then it is made as large as its content wants.",
      details: { field: "sizeMib" },
    });
  });
}

/** Inodes per drive by mke2fs.conf: one for 4 KiB below 512 MiB, one for 16 KiB from there on. */
function defaultInodes(sizeMib: number): number {
  return (sizeMib * 2 ** 20) / (sizeMib < 512 ? 4096 : 16384);
}

function formatArguments(file: string, { sizeMib, label, content }: Ext4Options): string[] {
  const journalMib = sizeMib < 512 ? 4 : 16;
  const wantedInodes = Math.ceil((content?.entries ?? 0) * 1.5) + 64;
  return [
    "-q",
    "-F",
    ...(label === undefined ? [] : ["-L", label]),
    // mkfs takes smaller blocks for a small disk, and such a one could not be grown far.
    ...["-b", "4096"],
    // Blocks that only root may use make no sense where everything runs as root.
    ...["-m", "0"],
    ...["-J", `size=${journalMib}`],
    // root_owner: mkfs would give the root folder to whoever runs it. nodiscard: the file is a hole already.
    ...["-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0,nodiscard"],
    ...(wantedInodes > defaultInodes(sizeMib) ? ["-N", String(wantedInodes)] : []),
    ...(content === undefined ? [] : ["-d", content.folder]),
    file,
  ];
}
