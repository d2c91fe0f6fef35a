import { z } from "zod";
import { attachmentFields, DRIVE_FORMATS } from "./attachment.ts";
import { mountPathSchema } from "./mount-path.ts";
import { MAX_DISK_MIB, nameSchema } from "./vm.ts";

/** The HTTP API's drive and volume resources: a volume is a drive that holds a file system. */

/** Below this, ext4 with a journal leaves next to nothing. */
export const MIN_DRIVE_MIB = 16;
/** Of a drive whose size nobody gave: one and a half times its content, and at least this. */
export const DEFAULT_DRIVE_MIB = 64;
export const CONTENT_FACTOR = 1.5;

/** Of one VM: places at the controller of its machine. */
export const MAX_ATTACHED_DRIVES = 16;

export const driveSchema = z.object({
  id: z.string(),
  name: z.string(),
  format: z.enum(DRIVE_FORMATS).describe("ext4 when it was made with a file system"),
  sizeMib: z.number().int(),
  usedBytes: z.number().int().describe("on the host's disk"),
  createdAt: z.string(),
  changedAt: z.string().optional().describe("when it was last written to; absent when its file is gone"),
  attachments: z
    .array(z.object({ vm: z.object({ id: z.string(), name: z.string() }), ...attachmentFields }))
    .describe("one that is writable, or any number that are read-only"),
});
export type Drive = z.infer<typeof driveSchema>;

/** A drive from its VM's end. */
export const vmDriveSchema = z.object({
  drive: z.object({ id: z.string(), name: z.string() }),
  vm: z.object({ id: z.string(), name: z.string() }),
  ...attachmentFields,
  device: z.string().optional().describe("such as /dev/sda, told when it has been attached"),
});
export type VmDrive = z.infer<typeof vmDriveSchema>;

export const driveSizeSchema = z
  .number()
  .int()
  .min(MIN_DRIVE_MIB, `at least ${MIN_DRIVE_MIB} MiB`)
  .max(MAX_DISK_MIB, `at most ${MAX_DISK_MIB} MiB`);

export const driveCreateSchema = z.strictObject({
  name: nameSchema,
  sizeMib: driveSizeSchema.optional(),
  format: z.enum(DRIVE_FORMATS).optional(),
});
export type DriveCreate = z.input<typeof driveCreateSchema>;

/** What a drive's content comes as: the bytes of the drive, or files in a tar archive. */
export const DRIVE_CONTENTS = ["raw", "tar"] as const;
export type DriveContent = (typeof DRIVE_CONTENTS)[number];

export const volumeCreateSchema = z.strictObject({ name: nameSchema, sizeMib: driveSizeSchema.optional() });
export type VolumeCreate = z.input<typeof volumeCreateSchema>;

export const driveGrowSchema = z.strictObject({ sizeMib: driveSizeSchema });

export const driveAttachSchema = z.strictObject({
  drive: z.string().min(1).max(200),
  path: mountPathSchema.optional(),
  readOnly: z.boolean().optional(),
});
export type DriveAttach = z.input<typeof driveAttachSchema>;

export const driveDetachSchema = z.strictObject({ force: z.boolean().optional() });
