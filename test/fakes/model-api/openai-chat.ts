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

const functionSchema = z.looseObject({
  type: z.literal("function"),
  function: z.looseObject({ name: z.string(), description: z.string().default(""), parameters: schemaField }),
});
const requestSchema = z.looseObject({
  model: z.string(),
  stream: z.boolean().default(false),
  // Copilot CLI has tools of type `custom` among them, whose input is no JSON.
  tools: z.array(z.unknown()).default([]),
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown().optional() })),
});

function toUsage(reply: Reply) {
  const { input, cached, output } = usageOf(reply);
  return {
    prompt_tokens: input,
    prompt_tokens_details: { cached_tokens: cached },
    completion_tokens: output,
    total_tokens: input + output,
  };
}

/** OpenAI's chat completions, which many other providers speak: `POST /v1/chat/completions`. */
export const openaiChat: ModelApi = {
  name: "OpenAI chat completions",
  isTurn: (path) => path === "/v1/chat/completions",
  read: (_path, body) => {
    const { model, stream, tools, messages } = requestSchema.parse(body);
    return {
      model,
      isStreamed: stream,
      tools: tools.flatMap((tool) => {
        const read = functionSchema.safeParse(tool);
        if (!read.success) return [];
        const { name, description, parameters } = read.data.function;
        return [{ name, description, parameters }];
      }),
      toolResults: messages.filter(({ role }) => role === "tool").map(({ content }) => textOf(content)),
    };
  },
  write: (turn, reply) => (turn.isStreamed ? streamed(turn, reply) : whole(turn, reply)),
  answerAside: (_method, path) => (path === "/v1/models" ? { object: "list", data: [] } : undefined),
};

const finishReason = (reply: Reply) => ("text" in reply ? "stop" : "tool_calls");

function toMessage(reply: Reply): Record<string, unknown> {
  if ("text" in reply) return { role: "assistant", content: reply.text };
  const call = { name: reply.tool.name, arguments: JSON.stringify(reply.args) };
  const id = `call_${randomUUID()}`;
  return { role: "assistant", content: null, tool_calls: [{ index: 0, id, type: "function", function: call }] };
}

function whole({ model }: Turn, reply: Reply) {
  const choice = { index: 0, message: toMessage(reply), finish_reason: finishReason(reply) };
  const id = `chatcmpl-${randomUUID()}`;
  return jsonAnswer({ id, object: "chat.completion", created: 0, model, choices: [choice], usage: toUsage(reply) });
}

function streamed({ model }: Turn, reply: Reply) {
  const base = { id: `chatcmpl-${randomUUID()}`, object: "chat.completion.chunk", created: 0, model };
  const choice = (delta: Record<string, unknown>, reason: string | null) => ({
    ...base,
    choices: [{ index: 0, delta, finish_reason: reason }],
  });
  const chunks = [
    choice(toMessage(reply), null),
    choice({}, finishReason(reply)),
    { ...base, choices: [], usage: toUsage(reply) },
  ];
  const answer = eventsAnswer(chunks, { isNamed: false });
  return { ...answer, body: `${answer.body}data: [DONE]\n\n` };
}
