import { z } from "zod";
import {
  DEFAULTS,
  DRIVER_REQUESTS,
  MAX_ADMISSION_WAIT_MS,
  MAX_CPUS,
  MAX_DISK_MIB,
  MAX_MEMORY_MIB,
  MIN_DISK_MIB,
  MIN_MEMORY_MIB,
} from "../../contract/vm.ts";

/** What a VM is made of; all VMs that are alike in this are forked from one template. */
export const kindArguments = {
  image: z.string().min(1).max(200).optional().describe(`Image to boot (default: ${DEFAULTS.image}).`),
  memory_mib: z
    .int()
    .min(MIN_MEMORY_MIB)
    .max(MAX_MEMORY_MIB)
    .optional()
    .describe(`Memory, MiB (default: ${DEFAULTS.memoryMib}).`),
  cpus: z.int().min(1).max(MAX_CPUS).optional().describe(`Virtual CPUs (default: ${DEFAULTS.cpus}).`),
  disk_mib: z
    .int()
    .min(MIN_DISK_MIB)
    .max(MAX_DISK_MIB)
    .optional()
    .describe(`Writable disk, MiB (default: ${DEFAULTS.diskMib}).`),
  driver: z
    .enum(DRIVER_REQUESTS)
    .optional()
    .describe(
      "VMM, for its life; volumes can be attached to it later only with qemu (default: what this machine has set).",
    ),
};

/** What starts a VM may be asked to wait instead of being refused. */
export const waitArguments = {
  wait_for_memory_seconds: z
    .int()
    .min(1)
    .max(MAX_ADMISSION_WAIT_MS / 1000)
    .optional()
    .describe("How long to wait for the memory of this machine (default: a VM that does not fit is refused at once)."),
};

export function toWait({ wait_for_memory_seconds: seconds }: { wait_for_memory_seconds?: number | undefined }) {
  return seconds === undefined ? {} : { admissionWaitMs: seconds * 1000 };
}

type Kind = { [K in keyof typeof kindArguments]?: z.output<(typeof kindArguments)[K]> | undefined };

export function toKind({ image, memory_mib: memoryMib, cpus, disk_mib: diskMib, driver }: Kind) {
  return {
    ...(image === undefined ? {} : { image }),
    ...(memoryMib === undefined ? {} : { memoryMib }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(diskMib === undefined ? {} : { diskMib }),
    ...(driver === undefined ? {} : { driver }),
  };
}
