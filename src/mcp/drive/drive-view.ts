import { z } from "zod";
import { ATTACHMENT_STATES, DRIVE_FORMATS } from "../../contract/attachment.ts";
import type { Drive, VmDrive } from "../../contract/drive.ts";

/** Which drive a call is about. */
export const driveArgument = z.string().min(1).max(200).describe("Name or id of the drive (drive_list shows them).");

/** A drive as tools show it. */
export const driveViewSchema = z.strictObject({
  drive: z.string(),
  id: z.string(),
  format: z.enum(DRIVE_FORMATS).describe("'ext4' when it was made with a file system."),
  size_mib: z.int(),
  used_bytes: z.number().describe("On the disk of this machine."),
  created_at: z.string(),
  attached_to: z.array(
    z.strictObject({
      vm: z.string(),
      path: z.string().optional(),
      read_only: z.boolean(),
      reason: z.string().optional().describe("Why the VM does not have it, though it should."),
    }),
  ),
});
export type DriveView = z.infer<typeof driveViewSchema>;

export function toDriveView(drive: Drive): DriveView {
  return {
    drive: drive.name,
    id: drive.id,
    format: drive.format,
    size_mib: drive.sizeMib,
    used_bytes: drive.usedBytes,
    created_at: drive.createdAt,
    attached_to: drive.attachments.map(({ vm, path, readOnly, reason }) => ({
      vm: vm.name,
      ...(path === undefined ? {} : { path }),
      read_only: readOnly,
      ...(reason === undefined ? {} : { reason }),
    })),
  };
}

/** One line a drive. */
export function describeDrive(drive: Drive): string {
  const holders = drive.attachments.map(
    ({ vm, path, readOnly }) => `${vm.name}${path === undefined ? "" : ` at ${path}`}${readOnly ? " (read-only)" : ""}`,
  );
  return `${drive.name}: ${drive.format}, ${drive.sizeMib} MiB, ${holders.length === 0 ? "attached to no VM" : `attached to ${holders.join(", ")}`}`;
}

/** A drive from its VM's end. */
export const attachmentViewSchema = z.strictObject({
  drive: z.string(),
  vm: z.string(),
  path: z.string().optional().describe("Where it is mounted in the VM."),
  device: z.string().optional(),
  read_only: z.boolean(),
  state: z.enum(ATTACHMENT_STATES),
});

export function toAttachmentView(attached: VmDrive): z.infer<typeof attachmentViewSchema> {
  return {
    drive: attached.drive.name,
    vm: attached.vm.name,
    ...(attached.path === undefined ? {} : { path: attached.path }),
    ...(attached.device === undefined ? {} : { device: attached.device }),
    read_only: attached.readOnly,
    state: attached.state,
  };
}
