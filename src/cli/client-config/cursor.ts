import path from "node:path";
import { type ClientConfig, envOf, headersOf, unlessEmpty } from "./client.ts";
import { jsonClient } from "./json-client.ts";

const reference = (variable: string) => `\${env:${variable}}`;

export const cursor: ClientConfig = {
  id: "cursor",
  name: "Cursor",
  scopes: ["user", "project"],
  isDesktop: true,
  file: (scope, { home, cwd }) => path.join(scope === "project" ? cwd : home, ".cursor", "mcp.json"),
  ...jsonClient({
    container: () => ["mcpServers"],
    entry: (server) =>
      server.transport === "stdio"
        ? { command: server.command, args: server.args, ...unlessEmpty("env", envOf(server, reference)) }
        : { url: server.url, ...headersOf(server, reference) },
  }),
};
