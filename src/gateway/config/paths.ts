import path from "node:path";
import { mountPathSchema } from "../../contract/mount-path.ts";
import type { ServerMount } from "../../contract/server.ts";

/** Where `~` and relative paths lead. */
export interface PathContext {
  /** The home of whoever wrote the file. */
  home: string;
  /** The folder of the file. */
  folder: string;
}

/** Of a guest's own: what hides them leaves nothing that runs. */
const SYSTEM_FOLDERS = new Set(["/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/var"]);

interface PathTable {
  path: string;
  at?: string | undefined;
  access?: "ro" | "rw" | undefined;
  mode?: ServerMount["mode"] | undefined;
}

type Mount = Omit<ServerMount, "mode"> & { mode?: ServerMount["mode"] };

/** An entry of allowed_paths: `path`, `path:rw`, `path:/inside:ro`, or a table; or why it cannot be meant. */
export function readPath(entry: string | PathTable, context: PathContext): Mount | { why: string } {
  const given: PathTable | { why: string } = typeof entry === "string" ? splitPath(entry) : entry;
  if ("why" in given) return given;
  const found = expandPath(given.path, context);
  if (typeof found !== "string") return found;
  const at = given.at === undefined ? found : path.posix.normalize(given.at).replace(/(?<=.)\/$/, "");
  if (!at.startsWith("/")) return { why: `'${at}' is where a server sees it: an absolute path` };
  if (SYSTEM_FOLDERS.has(at) || !mountPathSchema.safeParse(at).success)
    return {
      why: `a VM has things of its own at ${at}: say where else the server is to see it, such as '${given.path}:/host:ro'`,
    };
  return { path: found, at, access: given.access ?? "ro", ...(given.mode === undefined ? {} : { mode: given.mode }) };
}

function splitPath(text: string): PathTable | { why: string } {
  const [, place = "", at, access] = /^(.+?)(?::(\/[^:]*))?(?::(ro|rw))?$/s.exec(text) ?? [];
  const [, odd] = /:([rwox]{1,3})$/i.exec(place) ?? [];
  if (odd !== undefined) return { why: `'${odd}' is not ro or rw` };
  return {
    path: place,
    ...(at === undefined ? {} : { at }),
    ...(access === undefined ? {} : { access: access as "ro" | "rw" }),
  };
}

/** An absolute path of this host. */
export function expandPath(text: string, { home, folder }: PathContext): string | { why: string } {
  if (text === "" || text.includes("\0")) return { why: "it is no path" };
  if (text === "~") return path.resolve(home);
  if (text.startsWith("~/")) return path.resolve(home, text.slice(2));
  if (text.startsWith("~")) return { why: `'${text}': only the home of whoever runs firebreak is known, ~/` };
  return path.resolve(folder, text);
}
