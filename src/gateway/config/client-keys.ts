import type { ClientServer } from "./client-file.ts";
import { isTable } from "./document.ts";
import { packageOf } from "./known-servers.ts";
import { serverTableSchema } from "./schema.ts";

/** Keys of clients that say nothing of what a server is. */
export const LEFT_OUT = new Set(
  "$schema _comment alwaysAllow auth autoApprove cors description dev disabledReason env_vars gallery icon icons id instructions label metadata name note notes oauth provider registry required sandbox sandboxEnabled scopes settings source startup_timeout_sec startup_timeout_ms startupTimeout title trust version".split(
    " ",
  ),
);
/** They would matter, and nothing here can follow them. */
export const NOT_FOLLOWED: Record<string, string> = {
  envFile: "its variables are not read: give those that the server needs in env or secrets",
  env_http_headers: "its headers are left out: name secrets in headers, in the place of values",
};
/** Keys of clients that become part of the table. */
export const HANDLED = new Set(
  "command args env environment cwd url httpUrl serverUrl type transport headers http_headers bearer_token_env_var enabled disabled includeTools excludeTools enabledTools disabledTools enabled_tools disabled_tools tools timeout tool_timeout_sec firebreak".split(
    " ",
  ),
);
/** Keys of firebreak's own that may stand beside the client's. */
export const OWN_KEYS = Object.keys(serverTableSchema.shape).filter((key) => !HANDLED.has(key));

/** The command with its arguments, as the client would run it. */
export function wordsOf({ command, args = [] }: ClientServer): string[] {
  if (command === undefined) return [];
  const first =
    typeof command === "string"
      ? [command]
      : Array.isArray(command)
        ? command
        : [command.path, ...(command.args ?? [])];
  const words = [...first, ...args];
  // How commands are written for Windows.
  return words[0] === "cmd" && /^\/c$/i.test(words[1] ?? "") ? words.slice(2) : words;
}

/** Which tools a client lets through, and the key that says so. */
export function toolsOf(value: ClientServer): { table: unknown; key: string } | undefined {
  const { tools } = value;
  if (tools !== undefined && !Array.isArray(tools)) return { table: tools, key: "tools" };
  const allow = Array.isArray(tools) ? tools : (value.includeTools ?? value.enabledTools ?? value.enabled_tools);
  const deny = value.excludeTools ?? value.disabledTools ?? value.disabled_tools;
  const isAll = allow?.includes("*") === true;
  if ((allow === undefined || isAll) && (deny === undefined || deny.length === 0)) return undefined;
  return {
    table: {
      ...(allow === undefined || isAll ? {} : { allow }),
      ...(deny === undefined || deny.length === 0 ? {} : { deny }),
    },
    key: allow === undefined ? "excludeTools" : Array.isArray(tools) ? "tools" : "includeTools",
  };
}

/** Takes a table of texts out of firebreak's own keys: tokens may stand in it, too. One that is none stays, to be refused. */
export function takeTexts(own: Record<string, unknown>, key: string): Record<string, string> {
  const table = own[key];
  if (!isTable(table) || !Object.values(table).every((text) => typeof text === "string")) return {};
  delete own[key];
  return table as Record<string, string>;
}

/** `npx mcp-remote URL --header NAME:VALUE`: a server that runs elsewhere, behind a bridge that is not needed here. */
export function readBridge(words: readonly string[]): { url: string; headers: Record<string, string> } | undefined {
  const at = words.findIndex((word) => packageOf(word) === "mcp-remote");
  const url = words[at + 1];
  if (at < 0 || at > 3 || url === undefined || !/^https?:\/\//.test(url)) return undefined;
  const headers: Record<string, string> = {};
  for (const [index, word] of words.entries()) {
    const [, name, value] = /^([\w-]+):\s*(.*)$/s.exec(word === "--header" ? (words[index + 1] ?? "") : "") ?? [];
    if (name !== undefined && value !== undefined) headers[name] = value;
  }
  return { url, headers };
}
