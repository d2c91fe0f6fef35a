import type { TaskAgent } from "./agent.ts";
import { createCopilotReader } from "./copilot-reader.ts";
import { BASE_ENV, baseOf, modelOf, promptOf } from "./launch.ts";

const GITHUB_HOSTS = ["api.github.com", "*.githubcopilot.com"];

/** GitHub's Copilot CLI, with GitHub's models or, at a base URL, with OpenAI's chat completions. It tells no cost. */
export const copilot: TaskAgent = {
  name: "copilot",
  title: "GitHub Copilot CLI",
  package: { registry: "npm", name: "@github/copilot", version: "1.0.102", program: "copilot" },
  memoryMib: 1024,
  hosts: GITHUB_HOSTS,
  secrets: [
    { name: "COPILOT_GITHUB_TOKEN", hosts: GITHUB_HOSTS },
    // Of whoever is at the base URL, and of nobody else.
    { name: "COPILOT_PROVIDER_API_KEY", hosts: [] },
  ],
  launch: (request) => {
    const baseUrl = baseOf(request);
    const { model } = request;
    return {
      argv: [
        ...["copilot", "--output-format", "json", "--allow-all-tools", "--allow-all-paths", "--no-ask-user"],
        ...["--no-auto-update", "--disable-builtin-mcps", "--disable-client-telemetry", "--log-level", "none"],
        ...(model === undefined || baseUrl !== undefined ? [] : ["--model", model]),
        `--prompt=${promptOf(request, "copilot")}`,
      ],
      env: {
        ...BASE_ENV,
        COPILOT_AUTO_UPDATE: "false",
        ...(baseUrl === undefined
          ? {}
          : {
              COPILOT_PROVIDER_BASE_URL: `${baseUrl}/v1`,
              COPILOT_PROVIDER_TYPE: "openai",
              COPILOT_MODEL: modelOf(request, "copilot"),
              // No login at GitHub.
              COPILOT_OFFLINE: "true",
            }),
      },
      files: {},
    };
  },
  createReader: createCopilotReader,
};
