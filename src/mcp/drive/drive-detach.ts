import { z } from "zod";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { attachmentViewSchema, driveArgument, toAttachmentView } from "./drive-view.ts";

export const driveDetach = defineTool({
  name: "drive_detach",
  title: "Detach a drive",
  description:
    "Takes a drive from a VM, unmounted and written out. One that something in the VM uses is not taken, and what uses it is named; with force it is, and what has not been written is lost.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    drive: driveArgument,
    force: z.boolean().optional().describe("Take it though it is in use (default: false)."),
  }),
  outputSchema: attachmentViewSchema,
  handler: async ({ vm, drive, force }, { client, signal, onProgress }) => {
    const detached = await client.drives.detach(vm, drive, force ?? false, { signal, onProgress });
    return {
      structured: toAttachmentView(detached),
      vm: detached.vm.name,
      facts: [`drive ${detached.drive.name}`, "detached"],
    };
  },
});
