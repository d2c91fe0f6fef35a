import { z } from "zod";
import { defineTool } from "../tool.ts";
import { kindArguments, toKind } from "../vm/kind.ts";
import { describeTemplate, templateViewSchema, toTemplateView } from "./template-view.ts";

export const templateCreate = defineTool({
  name: "template_create",
  title: "Create a template",
  description:
    "Makes the template that VMs of a kind are forked from, so that the first of them takes no longer than the others; when there is one already, that is the answer.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject(kindArguments),
  outputSchema: templateViewSchema,
  handler: async (args, { client, signal, onProgress }) => {
    const template = await client.templates.create(toKind(args), { signal, onProgress });
    return {
      structured: toTemplateView(template),
      facts: [`template ${template.id}`],
      text: describeTemplate(template),
    };
  },
});
