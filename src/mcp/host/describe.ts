import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { findNearest } from "../../errors/nearest.ts";
import { toJsonSchema } from "../arguments.ts";
import { type AnyTool, defineTool } from "../tool.ts";

export const describe = defineTool({
  name: "describe",
  title: "Describe tools",
  description:
    "Describes firebreak's tools of all toolsets, also those that are not served here: what they do and change, whether they can be repeated, need a confirmation, take long. With tool, also its schemas.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  inputSchema: z.strictObject({
    tool: z.string().min(1).max(64).optional().describe("Only this tool, with its schemas."),
  }),
  outputSchema: z.strictObject({
    tools: z.array(
      z.strictObject({
        tool: z.string(),
        toolset: z.string(),
        about: z.string(),
        side_effects: z.enum(["none", "changes", "destroys"]),
        repeatable: z.boolean().describe("Twice is the same as once, also without an idempotency_key."),
        needs_confirmation: z.boolean(),
        cost_class: z.enum(["quick", "long"]).describe("long: seconds or minutes, with progress."),
        input_schema: z.record(z.string(), z.unknown()).optional(),
        output_schema: z.record(z.string(), z.unknown()).optional(),
      }),
    ),
  }),
  handler: async ({ tool: name }, { catalogue }) => {
    const found = name === undefined ? catalogue : catalogue.filter(({ tool }) => tool.name === name);
    if (name !== undefined && found.length === 0)
      throw unknownTool(
        name,
        catalogue.map(({ tool }) => tool.name),
      );
    const tools = found.map(({ toolset, tool }) => ({
      tool: tool.name,
      toolset,
      about: name === undefined ? tool.title : tool.description,
      side_effects: sideEffectsOf(tool),
      repeatable: tool.annotations.idempotentHint,
      needs_confirmation: tool.needsConfirmation,
      cost_class: tool.isLong ? ("long" as const) : ("quick" as const),
      ...(name === undefined
        ? {}
        : {
            input_schema: toJsonSchema(tool.inputSchema, "input"),
            output_schema: toJsonSchema(tool.outputSchema, "output"),
          }),
    }));
    return {
      structured: { tools },
      facts: [`${tools.length} tool${tools.length === 1 ? "" : "s"}`],
      text:
        name === undefined
          ? tools.map(({ tool, toolset, about }) => `${tool} (${toolset}): ${about}`).join("\n")
          : JSON.stringify(tools[0], null, 1),
    };
  },
});

function sideEffectsOf({ annotations }: AnyTool): "none" | "changes" | "destroys" {
  if (annotations.readOnlyHint) return "none";
  return annotations.destructiveHint ? "destroys" : "changes";
}

function unknownTool(name: string, names: string[]): FirebreakError {
  const nearest = findNearest(name, names);
  return new FirebreakError("INVALID_ARGUMENT", `describe: no tool is named '${name}'`, {
    hint: nearest === undefined ? "Call describe without arguments for all." : `Did you mean '${nearest}'?`,
  });
}
