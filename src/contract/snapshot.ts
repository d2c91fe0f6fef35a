import { z } from "zod";
import { MAX_DISK_MIB, MIN_DISK_MIB, nameSchema } from "./vm.ts";

/** The HTTP API's snapshot and template resources. */

/** What may leave a VM; a snapshot is forked and restored under no wider one than it was taken under. */
export interface VmPolicy {
  network: "none";
}

/** What is told of every saved machine. */
interface Saved {
  id: string;
  createdAt: string;
  image: string;
  imageDigest: string;
  kernelId: string;
  memoryMib: number;
  cpus: number;
  /** A template's is that of the drive before it is grown to what a VM asks for. */
  diskMib: number;
  driver: string;
  driverVersion: string;
  accel: "kvm" | "tcg";
  /** On the host's disk: memory that holds anything, devices, drive. */
  sizeBytes: number;
}

export interface Snapshot extends Saved {
  name: string;
  /** The VM that it was taken of. */
  vm: { id: string; name: string };
  /** The snapshot that the VM had come from, or had last been saved as. */
  parent?: string;
  policy: VmPolicy;
  /** How long the VM stood still for it, ms. */
  stoppedMs: number;
}

/** Answer of GET /v1/snapshots/NAME. */
export interface SnapshotDetails extends Snapshot {
  /** Those that it descends from, the nearest first, as far as they have not been deleted. */
  ancestors: Snapshot[];
}

export interface Template extends Saved {
  /** Made of an image, kernel, agent or VMM that is not in use any more: no VM is forked from it again. */
  isStale: boolean;
}

export const snapshotCreateSchema = z.strictObject({ name: nameSchema.optional() });

export const forkSchema = z.strictObject({
  name: nameSchema.optional(),
  diskMib: z
    .number()
    .int()
    .min(MIN_DISK_MIB, `at least ${MIN_DISK_MIB} MiB`)
    .max(MAX_DISK_MIB, `at most ${MAX_DISK_MIB} MiB`)
    .optional(),
});
export type ForkRequest = z.input<typeof forkSchema>;

export const pruneSchema = z.strictObject({ all: z.boolean().optional() });
