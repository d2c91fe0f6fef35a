import os from "node:os";
import path from "node:path";
import { MAX_SERVERS, SERVER_NAME_PATTERN, type ServerConfig } from "../../contract/server.ts";
import type { NamedSets } from "../../network/rule-text.ts";
import { createSets } from "../../network/sets.ts";
import { type Bounds, narrow, readBounds } from "./bounds.ts";
import { buildServer, checkLayer } from "./build.ts";
import { checkTable } from "./check.ts";
import { readClientEntries } from "./client-file.ts";
import { createConversion } from "./conversion.ts";
import { type ConfigDocument, errorAt, isTable, type KeyPath } from "./document.ts";
import { readFirebreakToml, readOwnerTables } from "./firebreak-toml.ts";
import { readJson } from "./json.ts";
import { type ConfigWarning, compose, type Layer } from "./layers.ts";
import { normaliseName } from "./names.ts";
import type { BuildContext } from "./plan.ts";
import { ProfileBook, type ProfileInfo, toList } from "./profiles.ts";
import { defaultsTableSchema, type ServerTable, serverTableSchema } from "./schema.ts";
import { toServerTable } from "./server-table.ts";

export interface ReadContext {
  /** What `~` is; this process's by default. */
  home?: string;
  /** What relative paths are of; the folder of the file by default. */
  folder?: string;
  /** Sets of rules by name: those of the installation. Sets of the file itself come on top. */
  sets?: NamedSets;
  /** In the place of the defaults' `workspace`: an absolute path. */
  workspace?: string;
}

/** What a file of servers comes to. */
export interface ServersFile {
  form: "toml" | "json";
  /** In the order of the file, names that are numbers first; those that are not enabled, too. */
  servers: ServerConfig[];
  profiles: ProfileInfo[];
  /** What is not wrong, and not what it seems. */
  warnings: ConfigWarning[];
}

/** Reads firebreak.toml, or the JSON of an MCP client. Throws CONFIG_INVALID with file, line and key. */
export function readServersFile(text: string, file: string, context: ReadContext = {}): ServersFile {
  const warnings: ConfigWarning[] = [];
  const build = (sets: NamedSets): BuildContext => ({ ...placesOf(file, context), sets, warnings });
  if (formOf(text, file) === "json") {
    const entries = readClientEntries(readJson(text, file));
    const conversion = createConversion({ ...placesOf(file, context), moveTokens: false });
    const none: ConfigDocument = { file, value: {}, lineOf: () => 1 };
    const book = new ProfileBook(none, undefined);
    const base = readDefaults(none, withWorkspace(undefined, context));
    const servers = entries.map((entry) => {
      const { table, document, warnings: told } = toServerTable(entry, conversion);
      warnings.push(...told);
      return makeServer(
        { name: entry.name, value: table, document, path: ["servers", entry.name] },
        { book, ...base },
        build(context.sets ?? createSets([])),
      );
    });
    return { form: "json", servers, profiles: book.list(), warnings };
  }
  const document = readFirebreakToml(text, file);
  const { network } = readOwnerTables(document);
  const sets = new Map([...(context.sets ?? createSets([])), ...Object.entries(network?.sets ?? {})]);
  const { servers: tables = {}, profiles, defaults } = document.value as Record<string, unknown>;
  const book = new ProfileBook(document, profiles);
  for (const layer of book.ownLayers()) checkLayer(layer);
  const base = readDefaults(document, withWorkspace(defaults, context));
  if (!isTable(tables)) throw errorAt(document, ["servers"], "a table of servers is wanted");
  const names = Object.keys(tables);
  if (names.length > MAX_SERVERS) throw errorAt(document, ["servers"], `there are at most ${MAX_SERVERS} servers`);
  const servers = names.map((name) => {
    const at = ["servers", name];
    if (!SERVER_NAME_PATTERN.test(name))
      throw errorAt(
        document,
        at,
        `a server's name is made of a-z, 0-9 and '-', at most 24: did you mean '${normaliseName(name)}'?`,
      );
    return makeServer({ name, value: tables[name], document, path: at }, { book, ...base }, build(sets));
  });
  return { form: "toml", servers, profiles: book.list(), warnings };
}

/** By the file's name, or by how it begins. */
export function formOf(text: string, file: string): "toml" | "json" {
  if (/\.toml$/i.test(file)) return "toml";
  if (/\.jsonc?$/i.test(file)) return "json";
  // A table of TOML begins with [, as does no file of servers in JSON.
  return /^\uFEFF?\s*(?:\{|\/\/|\/\*)/.test(text) ? "json" : "toml";
}

export function placesOf(file: string, { home, folder }: ReadContext): { home: string; folder: string } {
  return { home: home ?? os.homedir(), folder: folder ?? path.dirname(path.resolve(file)) };
}

interface Base {
  book: ProfileBook;
  defaults?: Layer;
  bounds?: Bounds;
}

function withWorkspace(defaults: unknown, { workspace }: ReadContext): unknown {
  if (workspace === undefined || (defaults !== undefined && !isTable(defaults))) return defaults;
  return { ...defaults, workspace };
}

function readDefaults(document: ConfigDocument, value: unknown): Pick<Base, "defaults" | "bounds"> {
  if (value === undefined) return {};
  const at = ["defaults"];
  const table = checkTable(defaultsTableSchema, value, { document, path: at });
  const defaults: Layer = { kind: "defaults", table, document, path: at };
  checkLayer(defaults);
  const bounds = readBounds(table.only ?? {});
  if ("why" in bounds) throw errorAt(document, [...at, "only", bounds.key], bounds.why);
  return { defaults, bounds };
}

function makeServer(
  { name, value, document, path: at }: { name: string; value: unknown; document: ConfigDocument; path: KeyPath },
  { book, defaults, bounds: all = {} }: Base,
  context: BuildContext,
): ServerConfig {
  const { vm_profile: named, ...table }: ServerTable = checkTable(serverTableSchema, value, { document, path: at });
  const own: Layer = { kind: "server", table, document, path: at };
  checkLayer(own);
  const { layers, bounds } = book.resolve(named, { document, path: [...at, "vm_profile"] });
  const composed = compose([...(defaults === undefined ? [] : [defaults]), ...layers, own]);
  return buildServer({
    name,
    document,
    path: at,
    composed,
    bounds: narrow(all, bounds),
    profile: toList(named),
    context,
  });
}
