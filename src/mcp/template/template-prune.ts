import { z } from "zod";
import { defineTool } from "../tool.ts";

export const templatePrune = defineTool({
  name: "template_prune",
  title: "Prune templates",
  description:
    "Deletes templates to free disk space: the stale ones, or all. VMs do not depend on them; the next VM of such a kind takes some seconds longer.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ all: z.boolean().default(false).describe("Also those that are of use.") }),
  outputSchema: z.strictObject({ deleted: z.array(z.string()), freed_bytes: z.number() }),
  handler: async ({ all }, { client, signal }) => {
    const pruned = await client.templatePrune(all, { signal });
    const freed = pruned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const deleted = pruned.map(({ id }) => id);
    const facts = [`${deleted.length} template${deleted.length === 1 ? "" : "s"} deleted`, `${freed} bytes freed`];
    return { structured: { deleted, freed_bytes: freed }, facts, text: deleted.join("\n") };
  },
});
