import { openaiResponses } from "../../fakes/model-api/openai-responses.ts";
import type { Agent } from "./agent.ts";

export const codex: Agent = {
  name: "Codex",
  program: "codex",
  api: openaiResponses,
  shown: (name) => ({ namespace: "mcp__firebreak", name }),
  folders: [".codex"],
  files: () => [],
  env: ({ home, modelKey }) => ({ CODEX_HOME: `${home}/.codex`, MODEL_KEY: modelKey }),
  ask: (prompt, { modelUrl }) => [
    "exec",
    ...["--json", "--ephemeral", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"],
    ...["--model", "gpt-5.2-codex"],
    ...["-c", "model_provider=fake"],
    ...[
      "-c",
      `model_providers.fake={name="Fake",base_url="${modelUrl}/v1",env_key="MODEL_KEY",wire_api="responses",request_max_retries=0,stream_max_retries=0}`,
    ],
    // Otherwise its first request to the model is made after a second, with or without firebreak's tools.
    ...["-c", "mcp_servers.firebreak.required=true"],
    ...["-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false"],
    prompt,
  ],
  clientId: "codex",
};
