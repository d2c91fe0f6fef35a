import path from "node:path";
import { type ClientConfig, envOf, headersOf, unlessEmpty } from "./client.ts";
import { jsonClient } from "./json-client.ts";
import { readJson } from "./json-document.ts";

const reference = (variable: string) => `{env:${variable}}`;

export const opencode: ClientConfig = {
  id: "opencode",
  name: "opencode",
  scopes: ["user", "project"],
  isDesktop: false,
  file: (scope, { env, home, cwd, isThere }) => {
    const folder = scope === "project" ? cwd : path.join(env.XDG_CONFIG_HOME || path.join(home, ".config"), "opencode");
    const withComments = path.join(folder, "opencode.jsonc");
    return isThere(withComments) ? withComments : path.join(folder, "opencode.json");
  },
  ...jsonClient({
    container: (text) => (isSecondVersion(text) ? ["mcp", "servers"] : ["mcp"]),
    entry: (server, container) => {
      // Version 2 has `disabled` in place of `enabled`.
      const enabled = container.length === 1 ? { enabled: true } : {};
      if (server.transport === "http")
        return { type: "remote", url: server.url, ...headersOf(server, reference), ...enabled };
      const command = [server.command, ...server.args];
      return { type: "local", command, ...unlessEmpty("environment", envOf(server, reference)), ...enabled };
    },
  }),
};

/** Version 2 has servers under `mcp.servers`; in version 1 that would be a server of this name, which has a type. */
function isSecondVersion(text: string): boolean {
  const servers = readJson(text, ["mcp", "servers"]);
  return typeof servers === "object" && servers !== null && typeof (servers as { type?: unknown }).type !== "string";
}
