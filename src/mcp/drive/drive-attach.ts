import { z } from "zod";
import { mountPathSchema } from "../../contract/mount-path.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { attachmentViewSchema, driveArgument, toAttachmentView } from "./drive-view.ts";

export const driveAttach = defineTool({
  name: "drive_attach",
  title: "Attach a drive",
  description:
    "Gives a VM a drive, at once when it runs. With a path its ext4 file system is mounted there, after every start too. One VM can have a drive to write to; several can have it read-only.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    drive: driveArgument,
    path: mountPathSchema.optional().describe("Where to mount it, such as /mnt/data; without one it is a device only."),
    read_only: z.boolean().optional().describe("The VM cannot write to it, whatever runs in it (default: false)."),
  }),
  outputSchema: attachmentViewSchema,
  handler: async ({ vm, drive, path, read_only: readOnly }, { client, signal, onProgress }) => {
    const request = { drive, ...(path === undefined ? {} : { path }), ...(readOnly === undefined ? {} : { readOnly }) };
    const attached = await client.drives.attach(vm, request, { signal, onProgress });
    const place = attached.device === undefined ? undefined : (attached.path ?? attached.device);
    return {
      structured: toAttachmentView(attached),
      vm: attached.vm.name,
      facts: [`drive ${attached.drive.name}`, place === undefined ? "from the next start on" : `at ${place}`],
    };
  },
});
