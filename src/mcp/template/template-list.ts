import { z } from "zod";
import { defineTool } from "../tool.ts";
import { describeTemplate, templateViewSchema, toTemplateView } from "./template-view.ts";

export const templateList = defineTool({
  name: "template_list",
  title: "List templates",
  description:
    "Lists the templates that new VMs are forked from; each is made by itself with the first VM of its kind.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({}),
  outputSchema: z.strictObject({ templates: z.array(templateViewSchema) }),
  handler: async (_args, { client, signal }) => {
    const templates = await client.templates.list({ signal });
    return {
      structured: { templates: templates.map(toTemplateView) },
      facts: [`${templates.length} template${templates.length === 1 ? "" : "s"}`],
      text: templates.map(describeTemplate).join("\n"),
    };
  },
});
