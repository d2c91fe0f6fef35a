import { randomUUID } from "node:crypto";
import { z } from "zod";
import {
  eventsAnswer,
  jsonAnswer,
  type ModelApi,
  type OfferedTool,
  type Reply,
  schemaField,
  textOf,
  usageOf,
} from "./model-api.ts";

const functionSchema = z.looseObject({
  type: z.literal("function"),
  name: z.string(),
  description: z.string().default(""),
  parameters: schemaField,
});
const namespaceSchema = z.looseObject({ type: z.literal("namespace"), name: z.string(), tools: z.array(z.unknown()) });
const requestSchema = z.looseObject({
  model: z.string(),
  stream: z.boolean().default(false),
  tools: z.array(z.unknown()).default([]),
  input: z.array(z.looseObject({ type: z.string().optional(), output: z.unknown().optional() })),
});

/** OpenAI's Responses: `POST /v1/responses`. */
export const openaiResponses: ModelApi = {
  name: "OpenAI Responses",
  isTurn: (path) => path === "/v1/responses",
  read: (_path, body) => {
    const { model, stream, tools, input } = requestSchema.parse(body);
    return {
      model,
      isStreamed: stream,
      tools: tools.flatMap(readTool),
      toolResults: input.filter(({ type }) => type === "function_call_output").map(({ output }) => textOf(output)),
    };
  },
  write: ({ isStreamed }, reply) => {
    const events = toEvents(reply);
    return isStreamed ? eventsAnswer(events, { isNamed: true }) : jsonAnswer(events.at(-1)?.response);
  },
  answerAside: (_method, path) => (path === "/v1/models" ? { object: "list", data: [], models: [] } : undefined),
};

/** Functions, also those in a namespace; tools that the provider itself would run are left out. */
function readTool(tool: unknown): OfferedTool[] {
  const single = functionSchema.safeParse(tool);
  if (single.success) {
    const { name, description, parameters } = single.data;
    return [{ name, description, parameters }];
  }
  const group = namespaceSchema.safeParse(tool);
  if (!group.success) return [];
  return group.data.tools.flatMap(readTool).map((inner) => ({ ...inner, namespace: group.data.name }));
}

function toItem(reply: Reply): { id: string; whole: Record<string, unknown>; empty: Record<string, unknown> } {
  const id = `item_${randomUUID()}`;
  if ("text" in reply) {
    const base = { id, type: "message", role: "assistant", status: "completed" };
    const content = [{ type: "output_text", text: reply.text, annotations: [] }];
    return { id, whole: { ...base, content }, empty: { ...base, status: "in_progress", content: [] } };
  }
  const { name, namespace } = reply.tool;
  const base = {
    id,
    type: "function_call",
    status: "completed",
    call_id: `call_${randomUUID()}`,
    name,
    ...(namespace === undefined ? {} : { namespace }),
  };
  return {
    id,
    whole: { ...base, arguments: JSON.stringify(reply.args) },
    empty: { ...base, status: "in_progress", arguments: "" },
  };
}

function toEvents(reply: Reply): Record<string, unknown>[] {
  const id = `resp_${randomUUID()}`;
  const item = toItem(reply);
  const { input, cached, output } = usageOf(reply);
  const usage = {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + output,
  };
  const delta =
    "text" in reply
      ? [{ type: "response.output_text.delta", item_id: item.id, output_index: 0, content_index: 0, delta: reply.text }]
      : [];
  return [
    { type: "response.created", response: { id, status: "in_progress", output: [] } },
    { type: "response.output_item.added", output_index: 0, item: item.empty },
    ...delta,
    { type: "response.output_item.done", output_index: 0, item: item.whole },
    { type: "response.completed", response: { id, status: "completed", output: [item.whole], usage } },
  ];
}
