import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeTemplate, templateArgument, templateViewSchema, toTemplateView } from "./template-view.ts";

export const templateGet = defineTool({
  name: "template_get",
  title: "Show a template",
  description: "Shows one template: what it is made of, its size, and whether VMs are still forked from it.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({ template: templateArgument }),
  outputSchema: templateViewSchema,
  handler: async (args, { client, signal }) => {
    const template = await client.templates.get(args.template, { signal });
    return {
      structured: toTemplateView(template),
      facts: [`template ${template.id}`, template.isStale ? "stale" : "of use"],
      text: describeTemplate(template),
    };
  },
});
