import { randomUUID } from "node:crypto";
import { z } from "zod";
import {
  eventsAnswer,
  jsonAnswer,
  type ModelApi,
  type Reply,
  schemaField,
  type Turn,
  textOf,
  usageOf,
} from "./model-api.ts";

const requestSchema = z.looseObject({
  model: z.string(),
  stream: z.boolean().default(false),
  tools: z
    .array(z.looseObject({ name: z.string(), description: z.string().default(""), input_schema: schemaField }))
    .default([]),
  messages: z.array(
    z.looseObject({
      role: z.string(),
      content: z.union([z.string(), z.array(z.looseObject({ type: z.string(), content: z.unknown().optional() }))]),
    }),
  ),
});

function toUsage(reply: Reply) {
  const { input, cached, output } = usageOf(reply);
  return {
    input_tokens: input - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: output,
  };
}

/** Anthropic's Messages: `POST /v1/messages`. */
export const anthropicMessages: ModelApi = {
  name: "Anthropic Messages",
  isTurn: (path) => path === "/v1/messages",
  read: (_path, body) => {
    const { model, stream, tools, messages } = requestSchema.parse(body);
    const blocks = messages.flatMap(({ content }) => (typeof content === "string" ? [] : content));
    return {
      model,
      isStreamed: stream,
      tools: tools.map(({ name, description, input_schema }) => ({ name, description, parameters: input_schema })),
      toolResults: blocks.filter(({ type }) => type === "tool_result").map(({ content }) => textOf(content)),
    };
  },
  write: (turn, reply) =>
    turn.isStreamed ? eventsAnswer(toEvents(turn, reply), { isNamed: true }) : whole(turn, reply),
  answerAside: (method, path) => {
    if (path === "/v1/messages/count_tokens") return { input_tokens: 42 };
    return method === "HEAD" ? {} : undefined;
  },
};

const stopReason = (reply: Reply) => ("text" in reply ? "end_turn" : "tool_use");
const message = (turn: Turn, reply: Reply) => ({
  id: `msg_${randomUUID()}`,
  type: "message",
  role: "assistant",
  model: turn.model,
  stop_sequence: null,
  usage: toUsage(reply),
});
const toolUse = (name: string, input: unknown) => ({ type: "tool_use", id: `toolu_${randomUUID()}`, name, input });

function whole(turn: Turn, reply: Reply) {
  const block = "text" in reply ? { type: "text", text: reply.text } : toolUse(reply.tool.name, reply.args);
  return jsonAnswer({ ...message(turn, reply), content: [block], stop_reason: stopReason(reply) });
}

function toEvents(turn: Turn, reply: Reply): Record<string, unknown>[] {
  const [block, delta] =
    "text" in reply
      ? [
          { type: "text", text: "" },
          { type: "text_delta", text: reply.text },
        ]
      : [toolUse(reply.tool.name, {}), { type: "input_json_delta", partial_json: JSON.stringify(reply.args) }];
  return [
    { type: "message_start", message: { ...message(turn, reply), content: [], stop_reason: null } },
    { type: "content_block_start", index: 0, content_block: block },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: stopReason(reply), stop_sequence: null }, usage: toUsage(reply) },
    { type: "message_stop" },
  ];
}
