import { z } from "zod";
import { defineTool } from "../tool.ts";
import { driveArgument } from "./drive-view.ts";

export const driveDelete = defineTool({
  name: "drive_delete",
  title: "Delete a drive",
  description:
    "Deletes a drive with all that is on it; there is no way back. One that a VM has is not deleted: drive_detach first. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ drive: driveArgument }),
  outputSchema: z.strictObject({ drive: z.string(), id: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const { id, name, usedBytes, createdAt, changedAt, attachments } = await client.drives.get(args.drive, { signal });
    return {
      steps: [`delete: remove the drive '${name}' with all that is on it, ${usedBytes} bytes`],
      // What somebody writes to it after the preview is nothing that anybody has agreed to lose.
      state: { id, createdAt, changedAt, attachments },
      pinned: { drive: id },
    };
  },
  handler: async (args, { client, signal }) => {
    const { deleted, id } = await client.drives.delete(args.drive, { signal });
    return { structured: { drive: deleted, id, deleted: true }, facts: [`drive ${deleted}`, "deleted"] };
  },
});
