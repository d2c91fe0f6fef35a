import path from "node:path";
import { type ClientConfig, envOf, headersOf, refuseKeyReference, unlessEmpty } from "./client.ts";
import { jsonClient } from "./json-client.ts";

/** Zed takes the values of headers and variables as they stand (zed-industries/zed issue 60459). */
const reference = () => refuseKeyReference("Zed");

export const zed: ClientConfig = {
  id: "zed",
  name: "Zed",
  scopes: ["user", "project"],
  isDesktop: true,
  file: (scope, { env, home, cwd, platform }) => {
    if (scope === "project") return path.join(cwd, ".zed", "settings.json");
    if (platform === "win32")
      return path.join(env.APPDATA || path.join(home, "AppData", "Roaming"), "Zed", "settings.json");
    const folder = (platform === "linux" && env.XDG_CONFIG_HOME) || path.join(home, ".config");
    return path.join(folder, "zed", "settings.json");
  },
  ...jsonClient({
    container: () => ["context_servers"],
    entry: (server) =>
      server.transport === "stdio"
        ? { command: server.command, args: server.args, ...unlessEmpty("env", envOf(server, reference)) }
        : { url: server.url, ...headersOf(server, reference) },
  }),
};
