import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";

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
  return `${device} is closed to this user: its group has the id ${found.gid} (usually 'kvm'; add the user to it and log in again)`;
}
