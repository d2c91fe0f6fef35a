import { z } from "zod";
import { defineTool } from "../tool.ts";
import { volumeArgument } from "./volume-argument.ts";

export const volumeDelete = defineTool({
  name: "volume_delete",
  title: "Delete a volume",
  description:
    "Deletes a volume with all that is on it; there is no way back. One that a VM has is not deleted: drive_detach first. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ volume: volumeArgument }),
  outputSchema: z.strictObject({ volume: z.string(), id: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const { id, name, usedBytes, createdAt, changedAt, attachments } = await client.volumes.get(args.volume, {
      signal,
    });
    return {
      steps: [`delete: remove the volume '${name}' with all that is on it, ${usedBytes} bytes`],
      // What somebody writes to it after the preview is nothing that anybody has agreed to lose.
      state: { id, createdAt, changedAt, attachments },
      pinned: { volume: id },
    };
  },
  handler: async (args, { client, signal }) => {
    const { deleted, id } = await client.volumes.delete(args.volume, { signal });
    return { structured: { volume: deleted, id, deleted: true }, facts: [`volume ${deleted}`, "deleted"] };
  },
});
