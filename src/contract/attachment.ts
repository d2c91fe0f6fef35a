import { z } from "zod";

/** That a VM has a drive, as the drive's and the VM's resources show it. */

export const DRIVE_FORMATS = ["ext4", "raw"] as const;
export type DriveFormat = (typeof DRIVE_FORMATS)[number];

export const ATTACHMENT_STATES = ["attaching", "attached", "detaching"] as const;

export const attachmentFields = {
  path: z.string().optional().describe("where its file system is mounted in the guest"),
  readOnly: z.boolean(),
  state: z.enum(ATTACHMENT_STATES),
  reason: z.string().optional().describe("why its guest does not have it, though it should"),
};

/** A drive in its VM's resource. */
export const attachedDriveSchema = z.object({
  id: z.string(),
  name: z.string(),
  format: z.enum(DRIVE_FORMATS).describe("ext4 of a volume"),
  ...attachmentFields,
});
export type AttachedDriveInfo = z.infer<typeof attachedDriveSchema>;
