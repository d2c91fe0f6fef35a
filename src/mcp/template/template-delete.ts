import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeTemplate, templateArgument } from "./template-view.ts";

export const templateDelete = defineTool({
  name: "template_delete",
  title: "Delete a template",
  description:
    "Deletes a template to free disk space. VMs do not depend on it; the next VM of its kind takes some seconds longer. Needs the confirm_token of a preview.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ template: templateArgument }),
  outputSchema: z.strictObject({ template: z.string(), deleted: z.boolean() }),
  confirm: async (args, { client, signal }) => {
    const template = await client.templates.get(args.template, { signal });
    return { steps: [`delete: ${describeTemplate(template)}`], state: template };
  },
  handler: async (args, { client, signal }) => {
    const { deleted } = await client.templates.delete(args.template, { signal });
    return { structured: { template: deleted, deleted: true }, facts: [`template ${deleted}`, "deleted"] };
  },
});
