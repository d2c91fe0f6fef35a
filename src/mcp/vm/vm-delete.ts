import { z } from "zod";
import { planTo } from "../plans.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";

export const vmDelete = defineTool({
  name: "vm_delete",
  title: "Delete a VM",
  description:
    "Ends a VM and deletes it with its disk and all files in it; there is no way back. Copy what is needed out first (file_read). Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ vm: vmArgument }),
  outputSchema: z.strictObject({ vm: z.string(), id: z.string(), deleted: z.boolean() }),
  confirm: planTo("absent"),
  handler: async ({ vm: nameOrId }, { client, signal }) => {
    const { deleted, id } = await client.vms.delete(nameOrId, { signal });
    return { structured: { vm: deleted, id, deleted: true }, vm: deleted, facts: ["deleted"] };
  },
});
