import { z } from "zod";
import { MIN_DRIVE_MIB } from "../../contract/drive.ts";
import { MAX_DISK_MIB } from "../../contract/vm.ts";
import { defineTool } from "../tool.ts";
import { describeDrive, driveArgument, driveViewSchema, toDriveView } from "./drive-view.ts";

export const driveGrow = defineTool({
  name: "drive_grow",
  title: "Grow a drive",
  description: "Enlarges a drive and its file system, also while a VM uses it. A drive cannot shrink.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    drive: driveArgument,
    size_mib: z.int().min(MIN_DRIVE_MIB).max(MAX_DISK_MIB).describe("What it is to have, MiB."),
  }),
  outputSchema: driveViewSchema,
  handler: async (args, { client, signal, onProgress }) => {
    const drive = await client.drives.grow(args.drive, args.size_mib, { signal, onProgress });
    const facts = [`drive ${drive.name}`, `${drive.sizeMib} MiB`];
    return { structured: toDriveView(drive), facts, text: describeDrive(drive) };
  },
});
