import type { DaemonClient } from "../../../client/daemon-client.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";

/** An error of a command about a VM and a drive, with a hint where the two have been given the wrong way round. */
export async function hintOrder(
  error: unknown,
  client: DaemonClient,
  words: { verb: "attach" | "detach"; vm: string; drive: string },
): Promise<unknown> {
  if (!(error instanceof FirebreakError) || error.code !== "VM_NOT_FOUND") return error;
  const { verb, vm, drive } = words;
  const areSwapped = await Promise.all([client.drives.get(vm), client.vms.get(drive)]).then(
    () => true,
    () => false,
  );
  if (!areSwapped) return error;
  const hint = `The VM comes first: firebreak drive ${verb} ${drive} ${vm}`;
  return new FirebreakError("VM_NOT_FOUND", error.message, { cause: error, hint });
}
