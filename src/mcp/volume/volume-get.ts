import { z } from "zod";
import { describeDrive, driveViewSchema, toDriveView } from "../drive/drive-view.ts";
import { defineTool } from "../tool.ts";
import { volumeArgument } from "./volume-argument.ts";

export const volumeGet = defineTool({
  name: "volume_get",
  title: "Show a volume",
  description: "Shows one volume: its size, what of it is used on this machine, and which VMs have it.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ volume: volumeArgument }),
  outputSchema: driveViewSchema,
  handler: async (args, { client, signal }) => {
    const volume = await client.volumes.get(args.volume, { signal });
    return { structured: toDriveView(volume), facts: [`volume ${volume.name}`], text: describeDrive(volume) };
  },
});
