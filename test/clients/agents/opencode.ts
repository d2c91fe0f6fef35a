import { openaiChat } from "../../fakes/model-api/openai-chat.ts";
import type { Agent } from "./agent.ts";

export const opencode: Agent = {
  name: "opencode",
  program: "opencode",
  api: openaiChat,
  shown: (name) => ({ name: `firebreak_${name}` }),
  files: ({ modelUrl, modelKey }) => [
    {
      path: ".config/opencode/opencode.json",
      json: {
        autoupdate: false,
        share: "disabled",
        model: "fake/model",
        small_model: "fake/model",
        provider: {
          fake: {
            npm: "@ai-sdk/openai-compatible",
            options: { baseURL: `${modelUrl}/v1`, apiKey: modelKey },
            models: { model: { tool_call: true, modalities: { input: ["text", "image"], output: ["text"] } } },
          },
        },
      },
    },
  ],
  env: () => ({ OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_AUTOUPDATE: "1" }),
  ask: (prompt) => ["run", "--format", "json", "--auto", prompt],
  clientId: "opencode",
};
