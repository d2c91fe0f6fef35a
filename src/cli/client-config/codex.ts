import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { type ClientConfig, invalidConfig, type JsonObject, OWN_ENV, type ServerEntry } from "./client.ts";
import { appendTable, hasTable, lineOf, readToml, removeKey, removeTables, setKey } from "./toml-document.ts";

const SERVERS = "mcp_servers";
/** What says how a server is reached, by transport; Codex refuses a table that has some of both. */
const REACHING = {
  stdio: ["command", "args", "env", "env_vars", "cwd"],
  http: ["url", "bearer_token_env_var", "http_headers", "env_http_headers"],
};

export const codex: ClientConfig = {
  id: "codex",
  name: "Codex",
  scopes: ["user", "project"],
  isDesktop: false,
  file: (scope, { env, home, cwd }) =>
    path.join(
      scope === "project" ? path.join(cwd, ".codex") : env.CODEX_HOME || path.join(home, ".codex"),
      "config.toml",
    ),
  find: (text, name) => serversOf(readToml(text))[name],
  merge: (text, name, server) => {
    const document = readToml(text);
    const entry = entryOf(server);
    const there = serversOf(document)[name];
    const fresh = isObject(there) ? mergeValues(there, entry, server.transport) : entry;
    const table = [SERVERS, name];
    const merged = isObject(there) ? mergeTable(text, table, there, fresh) : appendTable(text, table, entry as never);
    return checked(text, merged, { ...document, [SERVERS]: { ...serversOf(document), [name]: fresh } }, name);
  },
  remove: (text, name) => {
    const document = readToml(text);
    const { [name]: removed, ...others } = serversOf(document);
    if (removed === undefined) return text;
    const rest = { ...document, [SERVERS]: others };
    return checked(text, removeTables(text, [SERVERS, name]), rest, name);
  },
};

function entryOf(server: ServerEntry): JsonObject {
  if (server.transport === "http") {
    if (server.isSse) throw new FirebreakError("INVALID_ARGUMENT", "Codex does not speak MCP over server-sent events");
    return { url: server.url, ...(server.keyEnv === undefined ? {} : { bearer_token_env_var: server.keyEnv }) };
  }
  if (server.keyEnv !== undefined && server.keyEnv !== "FIREBREAK_API_KEY") {
    throw new FirebreakError("INVALID_ARGUMENT", "Codex hands variables on to a program under their own names only", {
      hint: "Leave --key-env out, and have the key in FIREBREAK_API_KEY.",
    });
  }
  return {
    command: server.command,
    args: server.args,
    ...(Object.keys(server.env).length === 0 ? {} : { env: server.env }),
    ...(server.keyEnv === undefined ? {} : { env_vars: [server.keyEnv] }),
  };
}

/** The table's values as they are to be: the user's own stay, but for those of the other transport. */
function mergeValues(there: JsonObject, entry: JsonObject, transport: ServerEntry["transport"]): JsonObject {
  const foreign = REACHING[transport === "stdio" ? "http" : "stdio"];
  const fresh: JsonObject = { ...there, ...entry };
  for (const key of foreign) delete fresh[key];
  if (!("bearer_token_env_var" in entry)) delete fresh.bearer_token_env_var;
  if (transport === "stdio" && isObject(there.env)) {
    const kept = Object.entries(there.env).filter(([key]) => !OWN_ENV.includes(key));
    fresh.env = { ...Object.fromEntries(kept), ...(entry.env as JsonObject | undefined) };
  }
  if (transport === "stdio" && Array.isArray(there.env_vars)) {
    const kept = there.env_vars.filter((variable) => !OWN_ENV.includes(variable as string));
    const all = [...kept, ...((entry.env_vars as string[] | undefined) ?? [])];
    fresh.env_vars = all;
  }
  return fresh;
}

function mergeTable(text: string, table: string[], there: JsonObject, fresh: JsonObject): string {
  // There may be tables below it only.
  let merged = hasTable(text, table) ? text : appendTable(text, table, {});
  for (const key of Object.keys(there)) {
    if (key in fresh) continue;
    merged = removeKey(removeTables(merged, [...table, key]), table, key);
  }
  for (const [key, value] of Object.entries(fresh)) {
    if (isDeepStrictEqual(there[key], value)) continue;
    const below = [...table, key];
    if (!isObject(value) || !hasTable(merged, below)) {
      merged = setKey(merged, table, key, value as never);
      continue;
    }
    const before = there[key] as JsonObject;
    for (const member of Object.keys(before)) if (!(member in value)) merged = removeKey(merged, below, member);
    for (const [member, inner] of Object.entries(value)) merged = setKey(merged, below, member, inner as string);
  }
  return merged;
}

/** TOML says one thing in many forms: what came of a change is read again, and is refused unless it is what was meant, and all else as before. */
function checked(text: string, changed: string, meant: JsonObject, name: string): string {
  if (isSame(() => readToml(changed), meant)) return changed;
  const line = lineOf(text, [SERVERS, name]);
  throw invalidConfig(
    `'${name}' cannot be changed in the form that ${SERVERS} has here`,
    line,
    1,
    `Nothing was changed. Write servers as tables of their own, [${SERVERS}.${name}], and try again.`,
  );
}

function isSame(read: () => JsonObject, meant: JsonObject): boolean {
  try {
    const { [SERVERS]: servers = {}, ...rest } = read();
    const { [SERVERS]: wanted = {}, ...others } = meant;
    return isDeepStrictEqual(rest, others) && isDeepStrictEqual(servers, wanted);
  } catch {
    return false;
  }
}

function serversOf(document: JsonObject): JsonObject {
  const servers = document[SERVERS];
  return isObject(servers) ? servers : {};
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
