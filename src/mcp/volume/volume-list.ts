import { z } from "zod";
import { describeDrive, driveViewSchema, toDriveView } from "../drive/drive-view.ts";
import { defineTool } from "../tool.ts";

export const volumeList = defineTool({
  name: "volume_list",
  title: "List volumes",
  description: "Lists all volumes, which are the drives that have a file system, and the VMs that have them.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ volumes: z.array(driveViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const volumes = await client.volumes.list({ signal });
    return {
      structured: { volumes: volumes.map(toDriveView) },
      facts: [`${volumes.length} volume${volumes.length === 1 ? "" : "s"}`],
      text:
        volumes.length === 0
          ? "There is no volume yet; volume_create makes one."
          : volumes.map(describeDrive).join("\n"),
    };
  },
});
