import { realpath } from "node:fs/promises";
import type { VmMount } from "../contract/mount.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** What `--mount` says, before the host path has been looked at. */
export interface MountSpec {
  hostPath: string;
  guestPath?: string;
  access: "ro" | "rw";
}

/** `HOSTPATH[:GUESTPATH][:ro|rw]`. A path with a colon in it cannot be said here. Throws INVALID_ARGUMENT. */
export function parseMount(text: string): MountSpec {
  const parts = text.split(":");
  const last = parts.at(-1);
  const access = parts.length > 1 && (last === "ro" || last === "rw") ? last : undefined;
  if (access !== undefined) parts.pop();
  const [hostPath = "", guestPath, ...rest] = parts;
  if (hostPath === "" || guestPath === "" || rest.length > 0)
    throw new FirebreakError("INVALID_ARGUMENT", `--mount: '${text}' is not HOSTPATH[:GUESTPATH][:ro|rw]`);
  return { hostPath, ...(guestPath === undefined ? {} : { guestPath }), access: access ?? "ro" };
}

/** The daemon has another working directory: it is told the whole path, without links; the guest has the same one unless told otherwise. */
export async function toMount(text: string): Promise<VmMount> {
  const { hostPath, guestPath, access } = parseMount(text);
  const real = await realpath(hostPath).catch(() => {
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `no such directory or file on this host: ${hostPath}`);
  });
  return { hostPath: real, guestPath: guestPath ?? real, access };
}

export async function toMounts(texts: readonly string[] | undefined): Promise<{ mounts?: VmMount[] }> {
  return texts === undefined ? {} : { mounts: await Promise.all(texts.map(toMount)) };
}
