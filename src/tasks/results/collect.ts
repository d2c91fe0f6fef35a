import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import path from "node:path";
import { type ArchiveLimits, readTar, type TarEntry } from "../../archive/tar-reader.ts";
import { guessMediaType, SNIFFED_BYTES } from "../../artifacts/media-type.ts";
import type { TaskFile } from "../../contract/task.ts";
import { type FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { ResultStorage } from "./storage.ts";

/** Of one task's output directory. */
export const RESULT_LIMITS: ArchiveLimits = { maxEntries: 10_000, maxBytes: 4 * 1024 ** 3 };
const MAX_PATH_LENGTH = 1_000;
/** A kind of tar's that is no file, or the guest agent's own for what it cannot read. */
const OTHER = "a device, a pipe, or what cannot be read";

export interface Collected {
  files: TaskFile[];
  /** What was left out, each with the reason. */
  skipped: string[];
  /** Why there is nothing of what came behind, where it broke off. */
  failure?: FirebreakError;
}

/**
 * Takes the files of a directory's archive, which a guest has made: hostile bytes. Names are kept as names, nothing is unpacked. What is not a file, or has a name that is no
 * path below the directory, is left out by name. Never throws: what came before a failure (ARCHIVE_INVALID, ARCHIVE_TOO_LARGE, HOST_DISK_FULL, a VM that is gone) is kept.
 */
export async function collectFiles(
  archive: AsyncIterable<Buffer>,
  storage: ResultStorage,
  workFolder: string,
  limits: ArchiveLimits = RESULT_LIMITS,
): Promise<Collected> {
  const files = new Map<string, TaskFile>();
  const skipped: string[] = [];
  let failure: FirebreakError | undefined;
  try {
    for await (const entry of readTar(archive, limits)) {
      if (entry.type === "directory") continue;
      const name = safeName(entry.path);
      if (name === undefined) skipped.push(`${showName(entry.path)}: its name is no path`);
      else if (entry.type !== "file") skipped.push(`${name}: ${entry.type === "other" ? OTHER : `a ${entry.type}`}`);
      else files.set(name, await keep(name, entry, storage, workFolder));
    }
  } catch (error) {
    failure = toFirebreakError(error);
  }
  const found = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files: found, skipped, ...(failure === undefined ? {} : { failure }) };
}

/** Of a name that is none: printable, and not megabytes of it in a task's log. */
const showName = (bytes: Buffer) => JSON.stringify(bytes.toString("utf8", 0, MAX_PATH_LENGTH));

/** A relative path of names that are UTF-8 and none of `.`, `..` or empty; undefined otherwise. */
function safeName(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  const isPlain = Buffer.from(text).equals(bytes) && !bytes.some((byte) => byte < 0x20 || byte === 0x7f);
  const name = text.replace(/^\.\//, "");
  if (!isPlain || name.length === 0 || name.length > MAX_PATH_LENGTH) return undefined;
  return name.split("/").some((part) => part === "" || part === "." || part === "..") ? undefined : name;
}

async function keep(name: string, entry: TarEntry, storage: ResultStorage, workFolder: string): Promise<TaskFile> {
  const part = path.join(workFolder, `part-${randomBytes(8).toString("hex")}`);
  const hash = createHash("sha256");
  let start: Buffer = Buffer.alloc(0);
  let sizeBytes = 0;
  const file = await open(part, "wx", 0o600);
  try {
    try {
      for await (const piece of entry.content) {
        hash.update(piece);
        if (start.length < SNIFFED_BYTES) start = Buffer.concat([start, piece]).subarray(0, SNIFFED_BYTES);
        sizeBytes += piece.length;
        await writeAll(file, piece);
      }
    } finally {
      await file.close();
    }
    const digest = `sha256:${hash.digest("hex")}`;
    await storage.put(digest, part, sizeBytes);
    return { path: name, mediaType: guessMediaType(name, start), sizeBytes, digest };
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}
