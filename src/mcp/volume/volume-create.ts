import { z } from "zod";
import { DEFAULT_DRIVE_MIB, MIN_DRIVE_MIB } from "../../contract/drive.ts";
import { MAX_DISK_MIB, nameSchema } from "../../contract/vm.ts";
import { describeDrive, driveViewSchema, toDriveView } from "../drive/drive-view.ts";
import { defineTool } from "../tool.ts";

export const volumeCreate = defineTool({
  name: "volume_create",
  title: "Create a volume",
  description:
    "Makes an empty volume: storage with a file system that outlives the VMs that have it. vm_create mounts volumes in a new VM, drive_attach in one that runs.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  inputSchema: z.strictObject({
    name: nameSchema.describe("a-z, 0-9 and '-', at most 63 characters."),
    size_mib: z
      .int()
      .min(MIN_DRIVE_MIB)
      .max(MAX_DISK_MIB)
      .optional()
      .describe(`Size, MiB; drive_grow enlarges it later (default: ${DEFAULT_DRIVE_MIB}).`),
  }),
  outputSchema: driveViewSchema,
  handler: async ({ name, size_mib: sizeMib }, { client, signal }) => {
    const volume = await client.volumes.create({ name, ...(sizeMib === undefined ? {} : { sizeMib }) }, { signal });
    return {
      structured: toDriveView(volume),
      facts: [`volume ${volume.name}`, "created"],
      text: describeDrive(volume),
    };
  },
});
