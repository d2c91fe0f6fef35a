import type { TaskAgent } from "./agent.ts";
import { createGeminiReader } from "./gemini-reader.ts";
import { BASE_ENV, baseOf, promptOf } from "./launch.ts";

const HOST = "generativelanguage.googleapis.com";

/** Google's Gemini CLI. It tells no cost. */
export const gemini: TaskAgent = {
  name: "gemini",
  title: "Gemini CLI",
  package: { registry: "npm", name: "@google/gemini-cli", version: "0.61.0", program: "gemini", needsNode: true },
  memoryMib: 1024,
  hosts: [HOST],
  secrets: [{ name: "GEMINI_API_KEY", hosts: [HOST] }],
  keepsTurns: true,
  launch: (request) => {
    const baseUrl = baseOf(request);
    const { model, maxTurns } = request;
    return {
      argv: [
        ...["gemini", "--output-format", "stream-json", "--yolo", "--skip-trust"],
        ...(model === undefined ? [] : ["--model", model]),
        // In one word: a prompt that begins with '-' is no flag.
        `--prompt=${promptOf(request, "gemini")}`,
      ],
      env: { ...BASE_ENV, ...(baseUrl === undefined ? {} : { GOOGLE_GEMINI_BASE_URL: baseUrl }) },
      files: {
        "/root/.gemini/settings.json": JSON.stringify({
          // Without it the key in the environment is not looked at.
          security: { auth: { selectedType: "gemini-api-key" } },
          privacy: { usageStatisticsEnabled: false },
          telemetry: { enabled: false },
          general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
          ...(maxTurns === undefined ? {} : { model: { maxSessionTurns: maxTurns } }),
        }),
      },
    };
  },
  createReader: createGeminiReader,
};
