import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { JsonObject } from "./client.ts";
import { readJson } from "./json-document.ts";

/** Names of the servers that a file names and does not turn off: FireMCP's servers.json, or any client's JSON. */
export function enabledServers(text: string): string[] {
  const root = readJson(text, []) as JsonObject | undefined;
  const servers = root?.mcpServers ?? root?.servers ?? root?.context_servers ?? root?.mcp;
  if (typeof servers !== "object" || servers === null || Array.isArray(servers))
    throw new FirebreakError("CLIENT_CONFIG_INVALID", "it has no mcpServers");
  return Object.entries(servers)
    .filter(([, server]) => typeof server === "object" && server !== null)
    .filter(([, server]) => server.disabled !== true && server.enabled !== false)
    .map(([name]) => name);
}
