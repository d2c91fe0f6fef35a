import { z } from "zod";
import { type ForkRequest, forkSchema } from "../../contract/snapshot.ts";
import { MAX_DISK_MIB, MIN_DISK_MIB, nameSchema } from "../../contract/vm.ts";

/** What a fork may have otherwise than what it is forked from. */
export const forkArguments = {
  name: nameSchema.optional().describe("Name of the new VM: a-z, 0-9 and '-'; made up when absent."),
  disk_mib: z.int().min(MIN_DISK_MIB).max(MAX_DISK_MIB).optional().describe("Its disk, MiB; it can only grow."),
};

export function toFork(args: { name?: string | undefined; disk_mib?: number | undefined }): ForkRequest {
  return forkSchema.parse({ name: args.name, diskMib: args.disk_mib });
}
