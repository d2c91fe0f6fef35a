import { gemini } from "../../fakes/model-api/gemini.ts";
import type { Agent } from "./agent.ts";

export const geminiCli: Agent = {
  name: "Gemini CLI",
  program: "gemini",
  api: gemini,
  shown: (name) => ({ name: `mcp_firebreak_${name}` }),
  files: () => [
    {
      path: ".gemini/settings.json",
      json: {
        security: { auth: { selectedType: "gemini-api-key" } },
        privacy: { usageStatisticsEnabled: false },
        telemetry: { enabled: false },
        general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
      },
    },
  ],
  env: ({ modelUrl, modelKey }) => ({ GOOGLE_GEMINI_BASE_URL: modelUrl, GEMINI_API_KEY: modelKey }),
  ask: (prompt) => ["-p", prompt, "-o", "stream-json", "-y", "--skip-trust", "-m", "gemini-2.5-flash"],
  clientId: "gemini",
};
