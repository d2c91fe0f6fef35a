import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeDrive, driveViewSchema, toDriveView } from "./drive-view.ts";

export const driveList = defineTool({
  name: "drive_list",
  title: "List drives",
  description: "Lists all drives, volumes among them, with their sizes and the VMs that have them.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ drives: z.array(driveViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const drives = await client.drives.list({ signal });
    return {
      structured: { drives: drives.map(toDriveView) },
      facts: [`${drives.length} drive${drives.length === 1 ? "" : "s"}`],
      text:
        drives.length === 0 ? "There is no drive yet; drive_create makes one." : drives.map(describeDrive).join("\n"),
    };
  },
});
