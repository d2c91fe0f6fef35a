import { z } from "zod";
import { DRIVE_FORMATS } from "../../contract/attachment.ts";
import { DEFAULT_DRIVE_MIB, MIN_DRIVE_MIB } from "../../contract/drive.ts";
import { MAX_DISK_MIB, nameSchema } from "../../contract/vm.ts";
import { defineTool } from "../tool.ts";
import { describeDrive, driveViewSchema, toDriveView } from "./drive-view.ts";

export const driveCreate = defineTool({
  name: "drive_create",
  title: "Create a drive",
  description:
    "Makes an empty drive, with an ext4 file system unless format is 'raw'. drive_attach gives it to a VM; it stays until drive_delete, whatever becomes of the VM.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  inputSchema: z.strictObject({
    name: nameSchema.describe("a-z, 0-9 and '-', at most 63 characters."),
    size_mib: z
      .int()
      .min(MIN_DRIVE_MIB)
      .max(MAX_DISK_MIB)
      .optional()
      .describe(`Size, MiB; it can grow later (default: ${DEFAULT_DRIVE_MIB}).`),
    format: z.enum(DRIVE_FORMATS).optional().describe("'ext4' (default), or 'raw': nothing but zeros."),
  }),
  outputSchema: driveViewSchema,
  handler: async ({ name, size_mib: sizeMib, format }, { client, signal }) => {
    const size = sizeMib === undefined ? {} : { sizeMib };
    const drive = await client.drives.create(
      { name, ...size, ...(format === undefined ? {} : { format }) },
      { signal },
    );
    return { structured: toDriveView(drive), facts: [`drive ${drive.name}`, "created"], text: describeDrive(drive) };
  },
});
