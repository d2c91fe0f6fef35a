import { anthropicMessages } from "../../fakes/model-api/anthropic-messages.ts";
import type { Agent } from "./agent.ts";

export const claudeCode: Agent = {
  name: "Claude Code",
  program: "claude",
  api: anthropicMessages,
  shown: (name) => ({ name: `mcp__firebreak__${name}` }),
  files: () => [],
  env: ({ home, modelUrl, modelKey }) => ({
    CLAUDE_CONFIG_DIR: `${home}/.claude`,
    ANTHROPIC_BASE_URL: modelUrl,
    ANTHROPIC_API_KEY: modelKey,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    // It tries for more than a minute otherwise.
    CLAUDE_CODE_MAX_RETRIES: "0",
    // All tools are shown to the model from the start, not only once it has searched for them.
    ENABLE_TOOL_SEARCH: "false",
    // Otherwise its first request to the model may come before firebreak's tools, on a busy host.
    MCP_CONNECTION_NONBLOCKING: "0",
    MCP_CONNECT_TIMEOUT_MS: "60000",
    // Root must say that it means it.
    IS_SANDBOX: "1",
  }),
  ask: (prompt) => [
    "-p",
    prompt,
    "--output-format",
    "stream-json",
    "--verbose",
    "--dangerously-skip-permissions",
    "--no-session-persistence",
    "--model",
    "claude-sonnet-4-5",
  ],
  clientId: "claude-code",
};
