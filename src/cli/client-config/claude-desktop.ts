import path from "node:path";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { type ClientConfig, envOf, refuseKeyReference, unlessEmpty } from "./client.ts";
import { desktopFolder } from "./desktop-folder.ts";
import { jsonClient } from "./json-client.ts";

export const claudeDesktop: ClientConfig = {
  id: "claude-desktop",
  name: "Claude Desktop",
  scopes: ["user"],
  isDesktop: true,
  file: (_scope, place) => path.join(desktopFolder(place), "Claude", "claude_desktop_config.json"),
  ...jsonClient({
    container: () => ["mcpServers"],
    entry: (server) => {
      if (server.transport === "http") {
        throw new FirebreakError("INVALID_ARGUMENT", "Claude Desktop's file names programs only, no URLs", {
          hint: "Use --transport stdio; for a daemon on another host, have it start 'firebreak mcp-bridge --url URL --api-key-file FILE'.",
        });
      }
      const env = envOf(server, () => refuseKeyReference("Claude Desktop"));
      return { command: server.command, args: server.args, ...unlessEmpty("env", env) };
    },
  }),
};
