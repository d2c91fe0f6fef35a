import { z } from "zod";
import { MAX_SERVERS } from "../../contract/server.ts";
import { findNearest } from "../../errors/nearest.ts";
import { checkTable } from "./check.ts";
import { readDockerProfile } from "./docker-profile.ts";
import { type ConfigDocument, errorAt, isTable, type KeyPath } from "./document.ts";
import { type ForeignServer, placedDocument } from "./foreign-server.ts";
import { normaliseNames } from "./names.ts";
import { readToolHive } from "./toolhive-file.ts";

/** Where the files of MCP clients have their servers; the first that is there counts. */
const PLACES: readonly KeyPath[] = [
  // Claude Code, Claude Desktop, Cursor, Gemini CLI, Copilot CLI, FireMCP.
  ["mcpServers"],
  // VS Code: mcp.json.
  ["servers"],
  // opencode 2, and settings.json of VS Code.
  ["mcp", "servers"],
  // opencode 1.
  ["mcp"],
  // Zed.
  ["context_servers"],
  // Codex: config.toml.
  ["mcp_servers"],
];

/** A question that VS Code asks before it starts a server. */
export interface ClientInput {
  id: string;
  description?: string;
}

/** A server as a client's file has it. */
export interface ClientEntry {
  /** As firebreak names it. */
  name: string;
  /** As the file does. */
  given: string;
  document: ConfigDocument;
  path: KeyPath;
  value: ClientServer;
  /** Zed and Gemini have other things in the same file; VS Code its inputs. */
  inputs: readonly ClientInput[];
  /** What of another system's server does not come along, by keys below `path` of the file itself. */
  told?: ForeignServer["told"];
}

const scalar = z.union([z.string(), z.number().transform(String), z.boolean().transform(String)], {
  error: "a text is wanted",
});
const texts = z.array(scalar, { error: "a list of texts is wanted" });
const variables = z.record(z.string(), scalar.nullable(), { error: "a table of texts is wanted" });
const words = z.array(z.string(), { error: "a list of texts is wanted" });

/** What the clients' files say of a server; keys of others' are looked at in client-keys.ts. */
const clientServerSchema = z.looseObject({
  command: z
    .union(
      [z.string(), texts, z.looseObject({ path: z.string(), args: texts.optional(), env: variables.optional() })],
      {
        error: "a program is wanted",
      },
    )
    .optional(),
  args: texts.optional(),
  env: variables.optional(),
  environment: variables.optional(),
  cwd: z.string({ error: "a path is wanted" }).optional(),
  url: z.string({ error: "a URL is wanted" }).optional(),
  httpUrl: z.string({ error: "a URL is wanted" }).optional(),
  serverUrl: z.string({ error: "a URL is wanted" }).optional(),
  type: z.string({ error: "a text is wanted" }).optional(),
  transport: z.string({ error: "a text is wanted" }).optional(),
  headers: variables.optional(),
  http_headers: variables.optional(),
  bearer_token_env_var: z.string().optional(),
  enabled: z.boolean({ error: "true or false is wanted" }).optional(),
  disabled: z.boolean({ error: "true or false is wanted" }).optional(),
  includeTools: words.optional(),
  excludeTools: words.optional(),
  enabledTools: words.optional(),
  disabledTools: words.optional(),
  enabled_tools: words.optional(),
  disabled_tools: words.optional(),
  firebreak: z.record(z.string(), z.unknown(), { error: "a table is wanted" }).optional(),
});
export type ClientServer = z.output<typeof clientServerSchema>;

/** The servers of a client's file, in its order. Throws CONFIG_INVALID where it has none, or one that is not readable. */
export function readClientEntries(document: ConfigDocument): ClientEntry[] {
  if (!isTable(document.value)) throw errorAt(document, [], "an object with servers is wanted");
  const foreign = readToolHive(document) ?? readDockerProfile(document);
  if (foreign !== undefined) return toEntries(foreign, document);
  const place = PLACES.find((path) => isPlace(document.value, path));
  if (place === undefined) throw errorAt(document, [], whyNone(document.value));
  const servers = valueAt(document.value, place) as Record<string, unknown>;
  const given = Object.keys(servers);
  if (given.length > MAX_SERVERS) throw errorAt(document, place, `there are at most ${MAX_SERVERS} servers`);
  const names = normaliseNames(given);
  const inputs = readInputs(valueAt(document.value, [...place.slice(0, -1), "inputs"]));
  return given.map((name, index) => {
    const path = [...place, name];
    if (!isTable(servers[name])) throw errorAt(document, path, "an object is wanted");
    const value = checkTable(clientServerSchema, servers[name], { document, path });
    return { name: names[index] as string, given: name, document, path, value, inputs };
  });
}

function toEntries(servers: readonly ForeignServer[], document: ConfigDocument): ClientEntry[] {
  if (servers.length > MAX_SERVERS) throw errorAt(document, ["servers"], `there are at most ${MAX_SERVERS} servers`);
  const names = normaliseNames(servers.map(({ given }) => given));
  return servers.map((server, index) => {
    const { given, path, told } = server;
    const placed = placedDocument(document, server);
    const value = checkTable(clientServerSchema, server.value, { document: placed, path });
    return { name: names[index] as string, given, document: placed, path, value, inputs: [], told };
  });
}

function isPlace(root: unknown, path: KeyPath): boolean {
  const value = valueAt(root, path);
  // opencode 1 may have a server of the name `servers`.
  return isTable(value) && !(path.length === 2 && typeof value.type === "string");
}

function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, key) => (isTable(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    root,
  );
}

function whyNone(root: Record<string, unknown>): string {
  const known = PLACES.map((path) => path.join("."));
  const near = Object.keys(root).flatMap((key) => findNearest(key, known) ?? []);
  const meant = near[0] === undefined ? "" : `, did you mean '${near[0]}'?`;
  return `there are no servers: none of ${known.join(", ")} is an object${meant}`;
}

function readInputs(value: unknown): ClientInput[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((input) =>
    isTable(input) && typeof input.id === "string"
      ? [{ id: input.id, ...(typeof input.description === "string" ? { description: input.description } : {}) }]
      : [],
  );
}
