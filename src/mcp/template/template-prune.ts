import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeTemplate } from "./template-view.ts";

export const templatePrune = defineTool({
  name: "template_prune",
  title: "Prune templates",
  description:
    "Deletes templates to free disk space: the stale ones, or all. VMs do not depend on them; the next VM of such a kind takes some seconds longer. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ all: z.boolean().default(false).describe("Also those that are of use.") }),
  outputSchema: z.strictObject({ deleted: z.array(z.string()), freed_bytes: z.number() }),
  confirm: async ({ all }, { client, signal }) => {
    const templates = (await client.templates.list({ signal })).filter((template) => all || template.isStale);
    return { steps: templates.map((template) => `delete: ${describeTemplate(template)}`), state: templates };
  },
  handler: async ({ all }, { client, signal }) => {
    const pruned = await client.templates.prune(all, { signal });
    const freed = pruned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const deleted = pruned.map(({ id }) => id);
    const facts = [`${deleted.length} template${deleted.length === 1 ? "" : "s"} deleted`, `${freed} bytes freed`];
    return { structured: { deleted, freed_bytes: freed }, facts, text: deleted.join("\n") };
  },
});
