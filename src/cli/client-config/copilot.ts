import path from "node:path";
import { type ClientConfig, envOf, headersOf, unlessEmpty } from "./client.ts";
import { jsonClient } from "./json-client.ts";

const reference = (variable: string) => `\${${variable}}`;

export const copilot: ClientConfig = {
  id: "copilot",
  name: "Copilot CLI",
  scopes: ["user", "project"],
  isDesktop: false,
  // In a project it also reads .mcp.json, which is Claude Code's as well, and that does not know the type `local`.
  file: (scope, { env, home, cwd }) =>
    scope === "project"
      ? path.join(cwd, ".github", "mcp.json")
      : path.join(env.COPILOT_HOME || path.join(home, ".copilot"), "mcp-config.json"),
  ...jsonClient({
    container: () => ["mcpServers"],
    entry: (server) => {
      const tools = { tools: ["*"] };
      if (server.transport === "http")
        return { type: server.isSse ? "sse" : "http", url: server.url, ...headersOf(server, reference), ...tools };
      const env = unlessEmpty("env", envOf(server, reference));
      return { type: "local", command: server.command, args: server.args, ...env, ...tools };
    },
  }),
};
