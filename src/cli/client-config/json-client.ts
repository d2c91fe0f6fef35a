import { type ClientConfig, type JsonObject, OWN_ENV, type ServerEntry } from "./client.ts";
import { readJson, removeJson, setJson } from "./json-document.ts";

/** Keys that say how a server is reached, in any client's words; each form of an entry has some of them. */
const REACHING = [
  "type",
  "url",
  "httpUrl",
  "serverUrl",
  "headers",
  "oauth",
  "command",
  "args",
  "env",
  "environment",
  "cwd",
  "envFile",
];
/** Of these, what a user may have added to an entry that starts a program. */
const USERS_OWN = ["env", "environment", "cwd", "envFile"];
/** Members of an entry's object that are ours; the others are the user's. */
const MANAGED: Record<string, string[]> = { env: OWN_ENV, environment: OWN_ENV, headers: ["Authorization"] };

export interface JsonClientOptions {
  /** Where the servers are, given the text. */
  container: (text: string) => string[];
  /** The entry in the client's own words. */
  entry: (server: ServerEntry, container: readonly string[]) => JsonObject;
}

/** How entries get into, and out of, a JSON file with all servers in one object. */
export function jsonClient({ container, entry }: JsonClientOptions): Pick<ClientConfig, "merge" | "remove" | "find"> {
  return {
    merge: (text, name, server) => {
      const servers = container(text);
      return mergeEntry(text, [...servers, name], entry(server, servers), server.transport);
    },
    remove: (text, name) => removeJson(text, [...container(text), name]),
    find: (text, name) => readJson(text, [...container(text), name]),
  };
}

function mergeEntry(text: string, path: string[], entry: JsonObject, transport: ServerEntry["transport"]): string {
  const there = readJson(text, path);
  if (!isObject(there)) return setJson(text, path, entry);
  let merged = text;
  const stays = transport === "stdio" ? USERS_OWN : [];
  for (const key of REACHING) if (!(key in entry) && !stays.includes(key)) merged = removeJson(merged, [...path, key]);
  for (const [key, managed] of Object.entries(MANAGED)) {
    const fresh = entry[key];
    for (const member of managed)
      if (!isObject(fresh) || !(member in fresh)) merged = removeJson(merged, [...path, key, member]);
  }
  for (const [key, value] of Object.entries(entry)) {
    // Which tools there are, and whether it is on, the user may have chosen.
    if (key in there && !REACHING.includes(key)) continue;
    if (!isObject(value) || !isObject(there[key])) merged = setJson(merged, [...path, key], value);
    else for (const [member, fresh] of Object.entries(value)) merged = setJson(merged, [...path, key, member], fresh);
  }
  return merged;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
