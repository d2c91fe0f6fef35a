import { z } from "zod";
import { vmMountsSchema } from "./mount.ts";
import { egressPolicySchema } from "./policy.ts";
import { MAX_DISK_MIB, MIN_DISK_MIB, nameSchema, vmCreateSchema } from "./vm.ts";

/** The HTTP API's snapshot and template resources. */

/** What may leave a VM; a snapshot is forked and restored under no wider one than it was taken under. */

/** What is told of every saved machine. */
const savedSchema = z.object({
  id: z.string(),
  createdAt: z.string(),
  image: z.string(),
  imageDigest: z.string(),
  kernelId: z.string(),
  memoryMib: z.number().int(),
  cpus: z.number().int(),
  diskMib: z.number().int().describe("a template's is that of the drive before it is grown to what a VM asks for"),
  driver: z.string(),
  driverVersion: z.string(),
  accel: z.enum(["kvm", "tcg"]),
  sizeBytes: z.number().int().describe("on the host's disk: memory that holds anything, devices, drive"),
});

export const snapshotSchema = savedSchema.extend({
  name: z.string(),
  vm: z.object({ id: z.string(), name: z.string() }).describe("the VM that it was taken of"),
  parent: z.string().optional().describe("the snapshot that the VM had come from, or had last been saved as"),
  policy: egressPolicySchema.describe("what the VM could reach; what is made of it begins with that"),
  stoppedMs: z.number().describe("how long the VM stood still for it"),
});
export type Snapshot = z.infer<typeof snapshotSchema>;

/** Answer of GET /v1/snapshots/NAME. */
export const snapshotDetailsSchema = snapshotSchema.extend({
  ancestors: z
    .array(snapshotSchema)
    .describe("those that it descends from, the nearest first, as far as they have not been deleted"),
});
export type SnapshotDetails = z.infer<typeof snapshotDetailsSchema>;

export const templateSchema = savedSchema.extend({
  isStale: z
    .boolean()
    .describe("made of an image, kernel, agent or VMM that is not in use any more: no VM is forked from it again"),
});
export type Template = z.infer<typeof templateSchema>;

/** The kind of VM that a template is for. */
export const templateCreateSchema = vmCreateSchema.pick({
  image: true,
  memoryMib: true,
  cpus: true,
  diskMib: true,
  driver: true,
  accel: true,
});
export type TemplateCreate = z.input<typeof templateCreateSchema>;
export type TemplateCreateParsed = z.output<typeof templateCreateSchema>;

export const snapshotCreateSchema = z.strictObject({ name: nameSchema.optional() });

export const forkSchema = z.strictObject({
  name: nameSchema.optional(),
  diskMib: z
    .number()
    .int()
    .min(MIN_DISK_MIB, `at least ${MIN_DISK_MIB} MiB`)
    .max(MAX_DISK_MIB, `at most ${MAX_DISK_MIB} MiB`)
    .optional()
    .describe("the fork's, where it is to be larger"),
  mounts: vmMountsSchema
    .optional()
    .describe(
      "host directories and files that it sees live; without one, what it was forked from had mounted is EIO in it. For callers on the UNIX socket",
    ),
});
export type ForkRequest = z.input<typeof forkSchema>;

export const pruneSchema = z.strictObject({ all: z.boolean().optional().describe("not the stale ones only") });
