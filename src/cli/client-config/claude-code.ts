import path from "node:path";
import { type ClientConfig, envOf, headersOf, unlessEmpty } from "./client.ts";
import { jsonClient } from "./json-client.ts";

const reference = (variable: string) => `\${${variable}}`;

export const claudeCode: ClientConfig = {
  id: "claude-code",
  name: "Claude Code",
  scopes: ["user", "project"],
  isDesktop: false,
  file: (scope, { env, home, cwd }) =>
    scope === "project" ? path.join(cwd, ".mcp.json") : path.join(env.CLAUDE_CONFIG_DIR || home, ".claude.json"),
  ...jsonClient({
    container: () => ["mcpServers"],
    entry: (server) =>
      server.transport === "stdio"
        ? {
            type: "stdio",
            command: server.command,
            args: server.args,
            ...unlessEmpty("env", envOf(server, reference)),
          }
        : { type: server.isSse ? "sse" : "http", url: server.url, ...headersOf(server, reference) },
  }),
};
