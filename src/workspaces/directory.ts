import { realpath, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Directories of the system, where a sync would be a mistake whoever asks. */
const SYSTEM = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var"];

/**
 * A host directory without links in its path. Throws HOST_PATH_NOT_FOUND, and WORKSPACE_DIRECTORY_REFUSED for what must not be synced: the root, a home
 * itself or what is above it, the system's directories, and firebreak's own, on either side.
 */
export async function resolveDirectory(directory: string, own: string[]): Promise<string> {
  const real = await realpath(directory).catch(() => undefined);
  if (real === undefined || !(await stat(real)).isDirectory())
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such directory on this host: ${directory}`);
  const home = await realpath(os.homedir()).catch(() => os.homedir());
  const refuse = (why: string) => {
    throw new FirebreakError("WORKSPACE_DIRECTORY_REFUSED", `${real} ${why}`, {
      hint: "Use a directory of the project that the VM is to work on.",
    });
  };
  if (isWithin(home, real)) refuse("is a home directory, or holds one");
  if (SYSTEM.includes(real)) refuse("belongs to the system");
  for (const folder of own) {
    const place = await realpath(folder).catch(() => folder);
    if (isWithin(place, real) || isWithin(real, place)) refuse("is, holds or lies in firebreak's own state");
  }
  return real;
}

/** Whether `inner` is `outer` or lies in it. */
export function isWithin(inner: string, outer: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === "" || (relative !== ".." && !relative.startsWith("../"));
}
