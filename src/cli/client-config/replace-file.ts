import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chmod, chown, copyFile, mkdir, open, readFile, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** A file that need not be there. */
export interface FoundFile {
  /** As it is named; a link stays one. */
  file: string;
  /** Where its content is. */
  target: string;
  /** Undefined where there is none. */
  text: string | undefined;
}

/** Larger than any client's file: Claude Code's, which holds more than settings, comes to some MiB. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Reads a file, through links. Throws CLIENT_CONFIG_INVALID for what is no file of text, INVALID_ARGUMENT for what cannot be read. */
export async function findFile(file: string): Promise<FoundFile> {
  const target = await resolveLinks(file);
  const facts = await stat(target).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw cannot("read", file, cause);
  });
  if (facts === undefined) return { file, target, text: undefined };
  if (!facts.isFile()) throw new FirebreakError("CLIENT_CONFIG_INVALID", `${file} is not a file`);
  if (facts.size > MAX_BYTES) throw new FirebreakError("CLIENT_CONFIG_INVALID", `${file} is larger than 64 MiB`);
  const bytes = await readFile(target).catch((cause: NodeJS.ErrnoException) => {
    throw cannot("read", file, cause);
  });
  try {
    return { file, target, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch (cause) {
    throw new FirebreakError("CLIENT_CONFIG_INVALID", `${file} is not UTF-8`, { cause });
  }
}

/**
 * Gives a file new content at once: a reader sees the old or the new. What there was is kept beside it; returns that path, undefined where there was
 * nothing. Throws CLIENT_CONFIG_CHANGED when it is not any more what it was when it was found.
 */
export async function replaceFile(found: FoundFile, text: string, options: { mode: number; now: Date }) {
  const { file, target } = found;
  try {
    await mkdir(path.dirname(target), { recursive: true });
    const facts = found.text === undefined ? undefined : await stat(target);
    const backup = facts === undefined ? undefined : await keepCopy(file, target, options.now);
    const fresh = `${target}.${process.pid}.${randomBytes(4).toString("hex")}`;
    try {
      const handle = await open(fresh, "wx", options.mode);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      if (facts !== undefined) {
        await chmod(fresh, facts.mode & 0o777);
        // Root may work on another user's file, which stays that user's.
        await chown(fresh, facts.uid, facts.gid).catch(() => undefined);
      }
      if ((await findFile(file)).text !== found.text) {
        throw new FirebreakError("CLIENT_CONFIG_CHANGED", `${file} has been changed by somebody else meanwhile`, {
          hint: "Nothing was changed. Try again, best while the client does not run.",
        });
      }
      await rename(fresh, target);
    } catch (error) {
      await rm(fresh, { force: true });
      if (backup !== undefined) await rm(backup, { force: true });
      throw error;
    }
    return backup;
  } catch (error) {
    throw error instanceof FirebreakError ? error : cannot("write", file, error as NodeJS.ErrnoException);
  }
}

/** `FILE.firebreak-backup-20260131T120000Z`, of the same mode (as copyFile does it); a further one in the same second gets a number. */
async function keepCopy(file: string, target: string, now: Date): Promise<string> {
  const stamp = now.toISOString().replace(/[-:]|\.\d+/g, "");
  for (let count = 1; ; count++) {
    const backup = `${file}.firebreak-backup-${stamp}${count === 1 ? "" : `-${count}`}`;
    try {
      await copyFile(target, backup, constants.COPYFILE_EXCL);
      return backup;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** Where a file's content is, or is to be: a link may also point at what is not there yet. */
async function resolveLinks(file: string, depth = 0): Promise<string> {
  const real = await realpath(file).catch(() => undefined);
  if (real !== undefined) return real;
  const link = await readlink(file).catch(() => undefined);
  if (link === undefined || depth > 40) return file;
  return resolveLinks(path.resolve(path.dirname(file), link), depth + 1);
}

function cannot(verb: string, file: string, cause: NodeJS.ErrnoException): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `cannot ${verb} ${file} (${cause.code ?? cause.message})`, { cause });
}
