import path from "node:path";
import { type ClientConfig, envOf, headersOf, type JsonObject, unlessEmpty } from "./client.ts";
import { desktopFolder } from "./desktop-folder.ts";
import { jsonClient } from "./json-client.ts";
import { appendJson, readJson, removeElements } from "./json-document.ts";

/**
 * VS Code asks for an input once and keeps it encrypted. Variables of the environment are not replaced in headers by every version
 * (microsoft/vscode issue 336232), and an editor that is started from a desktop has none of a shell's.
 */
const INPUT_ID = "firebreak-api-key";
const reference = () => `\${input:${INPUT_ID}}`;
const input = (variable: string): JsonObject => ({
  type: "promptString",
  id: INPUT_ID,
  description: `firebreak's API key (${variable})`,
  password: true,
});

const servers = jsonClient({
  container: () => ["servers"],
  entry: (server) =>
    server.transport === "stdio"
      ? { type: "stdio", command: server.command, args: server.args, ...unlessEmpty("env", envOf(server, reference)) }
      : { type: server.isSse ? "sse" : "http", url: server.url, ...headersOf(server, reference) },
});

export const vscode: ClientConfig = {
  id: "vscode",
  name: "VS Code",
  scopes: ["user", "project"],
  isDesktop: true,
  file: (scope, place) =>
    scope === "project"
      ? path.join(place.cwd, ".vscode", "mcp.json")
      : path.join(desktopFolder(place), "Code", "User", "mcp.json"),
  find: servers.find,
  merge: (text, name, server) => {
    const merged = servers.merge(text, name, server);
    if (server.keyEnv === undefined) return withoutUnusedInput(merged);
    return hasInput(merged) ? merged : appendJson(merged, ["inputs"], input(server.keyEnv));
  },
  remove: (text, name) => {
    const removed = servers.remove(text, name);
    return removed === text ? text : withoutUnusedInput(removed);
  },
};

function isOurs(value: unknown): boolean {
  return (value as JsonObject | null)?.id === INPUT_ID;
}

function hasInput(text: string): boolean {
  const inputs = readJson(text, ["inputs"]);
  return Array.isArray(inputs) && inputs.some(isOurs);
}

function withoutUnusedInput(text: string): string {
  return JSON.stringify(readJson(text, ["servers"]) ?? null).includes(reference())
    ? text
    : removeElements(text, ["inputs"], isOurs);
}
