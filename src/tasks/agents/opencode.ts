import type { AgentRequest, TaskAgent } from "./agent.ts";
import { BASE_ENV, baseOf, modelOf, promptOf } from "./launch.ts";
import { createOpencodeReader } from "./opencode-reader.ts";

/** Providers by the name before a model's slash: `anthropic/claude-sonnet-4-5`. */
const PROVIDERS = [
  { secret: "ANTHROPIC_API_KEY", host: "api.anthropic.com" },
  { secret: "OPENAI_API_KEY", host: "api.openai.com" },
  { secret: "GEMINI_API_KEY", host: "generativelanguage.googleapis.com" },
  { secret: "OPENROUTER_API_KEY", host: "openrouter.ai" },
] as const;
/** With a base URL. */
const OWN_PROVIDER = "firebreak";

/** opencode, which speaks to any provider; to OpenAI's chat completions at a base URL. */
export const opencode: TaskAgent = {
  name: "opencode",
  title: "opencode",
  package: {
    registry: "npm",
    name: "opencode-ai",
    version: "1.18.33",
    program: "opencode",
    setup: "postinstall.mjs",
  },
  memoryMib: 1024,
  hosts: PROVIDERS.map(({ host }) => host),
  secrets: PROVIDERS.map(({ secret, host }) => ({ name: secret, hosts: [host] })),
  launch: (request) => {
    const { model, own } = providerOf(request);
    const config = {
      autoupdate: false,
      share: "disabled",
      ...(model === undefined ? {} : { model, small_model: model }),
      ...(own === undefined ? {} : { provider: { [OWN_PROVIDER]: own } }),
    };
    return {
      argv: [
        ...["opencode", "run", "--format", "json", "--auto", "--thinking"],
        ...(model === undefined ? [] : ["--model", model]),
        "--",
        promptOf(request, "opencode"),
      ],
      env: {
        ...BASE_ENV,
        OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
        OPENCODE_DISABLE_MODELS_FETCH: "1",
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        OPENCODE_DISABLE_SHARE: "1",
        OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      },
      files: {},
    };
  },
  createReader: createOpencodeReader,
};

function providerOf(request: AgentRequest): { model: string | undefined; own?: Record<string, unknown> } {
  const baseUrl = baseOf(request);
  if (baseUrl === undefined) return { model: request.model };
  // Whatever stands before the slash would choose a provider, and there is one alone.
  const id = modelOf(request, "opencode").replace(/^openai\//, "");
  return {
    model: `${OWN_PROVIDER}/${id}`,
    own: {
      npm: "@ai-sdk/openai-compatible",
      options: { baseURL: `${baseUrl}/v1`, apiKey: "{env:OPENAI_API_KEY}" },
      models: { [id]: { tool_call: true } },
    },
  };
}
