import { constants } from "node:fs";
import { access, readFile, stat } from "node:fs/promises";

/** Why /dev/kvm cannot be used by this user, with what to do; undefined when it opens, which does not mean yet that it works. */
export async function explainKvm(device = "/dev/kvm"): Promise<string | undefined> {
  const found = await stat(device).catch(() => undefined);
  if (found === undefined) {
    return `there is no ${device}: the host has no hardware virtualisation, or its module (kvm_intel, kvm_amd) is not loaded`;
  }
  const canOpen = await access(device, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (canOpen) return undefined;
  return explainClosed(device, found, await readFile("/etc/group", "utf8").catch(() => ""));
}

/** Which group opens a device, by group(5). Pure. */
export function explainClosed(device: string, { mode, gid }: { mode: number; gid: number }, groups: string): string {
  const closed = `${device} is closed to this user`;
  if ((mode & 0o060) !== 0o060)
    return `${closed}, and to its group: as root, chgrp kvm ${device} && chmod 660 ${device}`;
  const name = groups
    .split("\n")
    .map((line) => line.split(":"))
    .find(([, , id]) => id === String(gid))?.[0];
  const group = name === undefined ? `the group ${gid}, which has no name here,` : `the group '${name}'`;
  return `${closed}: ${group} may use it (usermod -aG ${name ?? gid} USER, and a new login)`;
}
