import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeDrive, driveArgument, driveViewSchema, toDriveView } from "./drive-view.ts";

export const driveGet = defineTool({
  name: "drive_get",
  title: "Show a drive",
  description: "Shows one drive: its size, what of it is used on this machine, and which VMs have it.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ drive: driveArgument }),
  outputSchema: driveViewSchema,
  handler: async (args, { client, signal }) => {
    const drive = await client.drives.get(args.drive, { signal });
    return { structured: toDriveView(drive), facts: [`drive ${drive.name}`], text: describeDrive(drive) };
  },
});
