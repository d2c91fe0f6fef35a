import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readFirebreakToml, readOwnerTables } from "../gateway/config/firebreak-toml.ts";
import { withFirejailProfiles } from "../gateway/config/firejail-profiles.ts";
import { readServersFile, type ServersFile } from "../gateway/config/read.ts";
import { createSets, type NamedSets } from "../gateway/config/rule-sets.ts";
import { resolvePaths } from "../platform/paths.ts";

/** Looked for in the working directory, in this order; then the installation's own. */
const NAMES = ["firebreak.toml", ".mcp.json", "mcp.json", "servers.json"];

/** The file of MCP servers that is meant, as an absolute path. Throws HOST_PATH_NOT_FOUND. */
export function findServersFile(given: string | undefined): string {
  const own = path.join(resolvePaths().home, "firebreak.toml");
  const candidates = given === undefined ? [...NAMES.map((name) => path.resolve(name)), own] : [path.resolve(given)];
  const found = candidates.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new FirebreakError("HOST_PATH_NOT_FOUND", `there is no ${given ?? candidates.join(", nor ")}`, {
    hint: "Name the file with --config FILE. It is a firebreak.toml with [servers.NAME], or an MCP client's JSON.",
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    const why = code === "EISDIR" ? "it is a directory, and a file is wanted" : `it cannot be read (${code})`;
    throw new FirebreakError("CONFIG_INVALID", `${file}: ${why}`);
  }
}

/**
 * With the profiles of Firejail that stand beside the file. `workspace` is an absolute path, in the place of the file's own. Throws CONFIG_INVALID with file,
 * line and key.
 */
export function loadServersFile(file: string, workspace?: string): ServersFile {
  const found = readServersFile(readText(file), file, {
    sets: readInstalledSets(),
    ...(workspace === undefined ? {} : { workspace }),
  });
  return { ...found, servers: withFirejailProfiles(found.servers, file) };
}

/** The sets of rules of this host's installation: its firebreak.toml may be another file. */
export function readInstalledSets(): NamedSets {
  const file = path.join(resolvePaths().home, "firebreak.toml");
  if (!existsSync(file)) return createSets([]);
  const { network } = readOwnerTables(readFirebreakToml(readFileSync(file, "utf8"), file));
  return createSets([], network?.sets);
}
