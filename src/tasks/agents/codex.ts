import type { TaskAgent } from "./agent.ts";
import { createCodexReader } from "./codex-reader.ts";
import { BASE_ENV, baseOf, promptOf } from "./launch.ts";

const KEY = "OPENAI_API_KEY";
const OWN_URL = "https://api.openai.com";

/** OpenAI's Codex. It tells no cost. */
export const codex: TaskAgent = {
  name: "codex",
  title: "Codex",
  package: { registry: "npm", name: "@openai/codex", version: "0.169.0", program: "codex" },
  memoryMib: 1024,
  hosts: ["api.openai.com"],
  secrets: [{ name: KEY, hosts: ["api.openai.com"] }],
  launch: (request) => {
    // A provider of our own: the built-in one wants a login, and looks for models at other hosts.
    const provider = {
      name: "OpenAI",
      base_url: `${baseOf(request) ?? OWN_URL}/v1`,
      env_key: KEY,
      wire_api: "responses",
      request_max_retries: 4,
      stream_max_retries: 4,
    };
    const settings = {
      model_provider: "firebreak",
      "model_providers.firebreak": provider,
      "analytics.enabled": false,
      check_for_update_on_startup: false,
    };
    return {
      argv: [
        ...["codex", "exec", "--json", "--ephemeral", "--skip-git-repo-check"],
        "--dangerously-bypass-approvals-and-sandbox",
        ...(request.model === undefined ? [] : ["--model", request.model]),
        ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${toToml(value)}`]),
        "--",
        promptOf(request, "codex"),
      ],
      env: { ...BASE_ENV },
      files: {},
    };
  },
  createReader: createCodexReader,
};

/** JSON's texts, numbers and booleans are TOML's. */
function toToml(value: string | number | boolean | Record<string, string | number>): string {
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${key}=${JSON.stringify(inner)}`)
    .join(",")}}`;
}
