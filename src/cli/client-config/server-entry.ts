import { realpathSync } from "node:fs";
import path from "node:path";
import type { ServerEntry } from "./client.ts";

/** firebreak's own tools, all of its MCP servers, or one of these. */
export type What = { server?: string; isServers?: boolean };

/** Where every process looks for programs, also one that a desktop starts. */
const SYSTEM_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin"];
/** What says which installation a program is to use. */
const HANDED_ON = ["FIREBREAK_HOME", "FIREBREAK_RUNTIME_DIR"];

/** How a client starts firebreak. FIREBREAK_URL, which names a daemon on another host, goes along with the name of the variable that has its key. */
export function stdioEntry(
  { server, isServers }: What,
  { command, env, keyEnv }: { command: string; env: NodeJS.ProcessEnv; keyEnv: string },
): ServerEntry {
  const values: Record<string, string> = {};
  for (const name of HANDED_ON) if (env[name]) values[name] = path.resolve(env[name]);
  if (env.FIREBREAK_URL) values.FIREBREAK_URL = env.FIREBREAK_URL;
  return {
    transport: "stdio",
    command,
    args: server === undefined ? ["serve", "mcp", ...(isServers ? ["--servers"] : [])] : ["mcp", "run", server],
    env: values,
    ...(env.FIREBREAK_URL ? { keyEnv } : {}),
  };
}

export interface UrlParts {
  /** `http://127.0.0.1:9600`. */
  base: string;
  /** `/servers` */
  path: string;
  /** `/mcp`; `/sse` is the transport of 2024-11-05. */
  suffix: string;
}

/** How a client reaches firebreak at a base, with the name of the variable that has the key. */
export function httpEntry({ server, isServers }: What, parts: UrlParts, keyEnv: string | undefined): ServerEntry {
  // Many write the endpoint where its base is meant.
  const base = parts.base.replace(/\/+$/, "").replace(/\/mcp$/, "");
  const url =
    server === undefined
      ? `${base}/mcp${isServers ? "?toolsets=none" : ""}`
      : `${base}${parts.path}/${encodeURIComponent(server)}${parts.suffix}`;
  const isSse = server !== undefined && /\/sse$/.test(parts.suffix);
  return { transport: "http", url, isSse, ...(keyEnv === undefined ? {} : { keyEnv }) };
}

/** A daemon that listens on every address is reached by the one that stays on this host. */
export function reachableBase(listenUrl: string): string {
  return listenUrl.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}

/** The program's bare name where the PATH of whoever starts it leads to `program`, else its absolute path. */
export function commandFor(program: string, options: { isDesktop: boolean; searchPath: string | undefined }): string {
  const name = path.basename(program);
  const folders = (options.searchPath ?? "").split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  const first = folders.find((folder) => realPath(path.join(folder, name)) !== undefined);
  const isFound = first !== undefined && realPath(path.join(first, name)) === realPath(program);
  return isFound && (!options.isDesktop || SYSTEM_FOLDERS.includes(first)) ? name : program;
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined;
  }
}

/** Whether an entry in a client's file is one that this command has written, or might have. */
export function isOwnEntry(entry: unknown, name: string, wanted: ServerEntry | undefined): boolean {
  if (name === "firebreak") return true;
  const { command, url, httpUrl } = (entry ?? {}) as Record<string, unknown>;
  const [program] = Array.isArray(command) ? (command as unknown[]) : [command];
  if (typeof program === "string" && path.basename(program) === "firebreak") return true;
  const address = [url, httpUrl].find((value) => typeof value === "string") as string | undefined;
  if (address === undefined) return false;
  if (wanted?.transport === "http") {
    // The same server elsewhere; `/mcp` alone anybody may have.
    const path = pathOf(wanted.url);
    if (wanted.url === address || (path !== "/mcp" && path === pathOf(address))) return true;
  }
  return JSON.stringify(entry).includes("FIREBREAK_API_KEY") || JSON.stringify(entry).includes("firebreak-api-key");
}

function pathOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).pathname : undefined;
}
