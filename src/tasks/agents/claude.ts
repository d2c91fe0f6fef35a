import type { TaskAgent } from "./agent.ts";
import { createClaudeReader } from "./claude-reader.ts";
import { BASE_ENV, baseOf, promptOf } from "./launch.ts";

/** Claude Code. */
export const claude: TaskAgent = {
  name: "claude",
  title: "Claude Code",
  package: {
    registry: "npm",
    name: "@anthropic-ai/claude-code",
    version: "2.1.329",
    program: "claude",
    setup: "install.cjs",
  },
  memoryMib: 1024,
  hosts: ["api.anthropic.com"],
  secrets: [{ name: "ANTHROPIC_API_KEY", hosts: ["api.anthropic.com"] }],
  keepsTurns: true,
  launch: (request) => {
    const baseUrl = baseOf(request);
    const { model, maxTurns, maxCostUsd } = request;
    return {
      argv: [
        "claude",
        "--print",
        ...["--output-format", "stream-json", "--verbose", "--include-partial-messages"],
        "--dangerously-skip-permissions",
        "--no-session-persistence",
        ...(model === undefined ? [] : ["--model", model]),
        ...(maxTurns === undefined ? [] : ["--max-turns", String(maxTurns)]),
        ...(maxCostUsd === undefined ? [] : ["--max-budget-usd", String(maxCostUsd)]),
        // A prompt that begins with '-' is no flag.
        "--",
        promptOf(request, "claude"),
      ],
      env: {
        ...BASE_ENV,
        ...(baseUrl === undefined ? {} : { ANTHROPIC_BASE_URL: baseUrl }),
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_AUTOUPDATER: "1",
        DISABLE_TELEMETRY: "1",
        DISABLE_ERROR_REPORTING: "1",
        // It tries even a wrong key ten times otherwise, for more than a minute.
        CLAUDE_CODE_MAX_RETRIES: "4",
      },
      files: {},
    };
  },
  createReader: createClaudeReader,
};
