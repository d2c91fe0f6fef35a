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

const PATH = /^\/v1beta\/models\/([^/:]+):(generateContent|streamGenerateContent)$/;

const declarationSchema = z.looseObject({
  name: z.string(),
  description: z.string().default(""),
  // The first is JSON Schema, the second Google's own dialect of it.
  parametersJsonSchema: schemaField.optional(),
  parameters: schemaField.optional(),
});
const requestSchema = z.looseObject({
  generationConfig: z.looseObject({ responseMimeType: z.string().optional() }).optional(),
  tools: z.array(z.looseObject({ functionDeclarations: z.array(declarationSchema).default([]) })).default([]),
  contents: z.array(
    z.looseObject({
      parts: z
        .array(z.looseObject({ functionResponse: z.looseObject({ response: z.unknown().optional() }).optional() }))
        .default([]),
    }),
  ),
});

/** Google's Gemini API: `POST /v1beta/models/MODEL:streamGenerateContent` and `:generateContent`. */
export const gemini: ModelApi = {
  name: "Gemini generateContent",
  isTurn: (path) => PATH.test(path),
  read: (path, body) => {
    const [, model = "", method] = PATH.exec(path) ?? [];
    const { tools, contents, generationConfig } = requestSchema.parse(body);
    const declarations = tools.flatMap(({ functionDeclarations }) => functionDeclarations);
    const parts = contents.flatMap((content) => content.parts);
    return {
      model,
      wantsJson: generationConfig?.responseMimeType === "application/json",
      isStreamed: method === "streamGenerateContent",
      tools: declarations.map(({ name, description, parametersJsonSchema, parameters }) => ({
        name,
        description,
        parameters: parametersJsonSchema ?? parameters ?? {},
      })),
      toolResults: parts.flatMap(({ functionResponse }) =>
        functionResponse === undefined ? [] : [textOf(functionResponse.response)],
      ),
    };
  },
  write: (turn, reply) => {
    const body = toResponse(turn, reply);
    return turn.isStreamed ? eventsAnswer([body], { isNamed: false }) : jsonAnswer(body);
  },
};

function toResponse({ model }: Turn, reply: Reply): Record<string, unknown> {
  const part = "text" in reply ? { text: reply.text } : { functionCall: { name: reply.tool.name, args: reply.args } };
  const { input, cached, output } = usageOf(reply);
  return {
    candidates: [{ content: { role: "model", parts: [part] }, finishReason: "STOP", index: 0 }],
    usageMetadata: {
      promptTokenCount: input,
      cachedContentTokenCount: cached,
      candidatesTokenCount: output,
      totalTokenCount: input + output,
    },
    modelVersion: model,
  };
}
