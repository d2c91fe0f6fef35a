import { z } from "zod";
import { defineTool } from "../tool.ts";
import { forwardArgument } from "./forward-view.ts";

export const forwardDelete = defineTool({
  name: "forward_delete",
  title: "Delete a port forward",
  description: "Closes a port of this computer that leads into a VM, and cuts its connections. The VM is not touched.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ forward: forwardArgument }),
  outputSchema: z.strictObject({ forward: z.string(), deleted: z.boolean() }),
  handler: async (args, { client, signal }) => {
    const { deleted } = await client.forwards.delete(args.forward, { signal });
    return { structured: { forward: deleted, deleted: true }, facts: [`forward ${deleted}`, "deleted"] };
  },
});
