import { realpath, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Directories of the system: to show one to a guest would be a mistake whoever asks. */
const SYSTEM = ["/bin", "/boot", "/etc", "/lib", "/lib64", "/run", "/sbin", "/usr", "/var"];
/** With all in them. */
const KERNELS = ["/dev", "/proc", "/sys"];

/**
 * A directory or regular file of this host without links in its path. Throws HOST_PATH_NOT_FOUND, and MOUNT_PATH_REFUSED for the root, a home or what holds
 * one, the system's directories, and firebreak's own state on either side.
 */
export async function resolveHostPath(wanted: string, own: readonly string[]): Promise<string> {
  const real = await realpath(wanted).catch(() => undefined);
  const kind = real === undefined ? undefined : await stat(real);
  if (real === undefined || kind === undefined || !(kind.isDirectory() || kind.isFile()))
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such directory or file on this host: ${wanted}`);
  const home = await realpath(os.homedir()).catch(() => os.homedir());
  const refuse = (why: string) => {
    throw new FirebreakError("MOUNT_PATH_REFUSED", `${real} ${why}`, {
      hint: "Mount a directory of the project that the VM is to work on.",
    });
  };
  if (isWithin(home, real)) refuse("is a home directory, or holds one");
  if (SYSTEM.includes(real) || KERNELS.some((folder) => isWithin(real, folder))) refuse("belongs to the system");
  for (const folder of own) {
    const place = await realpath(folder).catch(() => folder);
    if (isWithin(place, real) || isWithin(real, place)) refuse("is, holds or lies in firebreak's own state");
  }
  return real;
}

function isWithin(inner: string, outer: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === "" || (relative !== ".." && !relative.startsWith("../"));
}
