import path from "node:path";
import { type ClientConfig, envOf, headersOf, unlessEmpty } from "./client.ts";
import { jsonClient } from "./json-client.ts";

const reference = (variable: string) => `\${${variable}}`;

export const gemini: ClientConfig = {
  id: "gemini",
  name: "Gemini CLI",
  scopes: ["user", "project"],
  isDesktop: false,
  file: (scope, { env, home, cwd }) =>
    path.join(scope === "project" ? cwd : env.GEMINI_CLI_HOME || home, ".gemini", "settings.json"),
  ...jsonClient({
    container: () => ["mcpServers"],
    entry: (server) => {
      if (server.transport === "stdio")
        return { command: server.command, args: server.args, ...unlessEmpty("env", envOf(server, reference)) };
      // A bare `url` is one of server-sent events.
      return { [server.isSse ? "url" : "httpUrl"]: server.url, ...headersOf(server, reference) };
    },
  }),
};
