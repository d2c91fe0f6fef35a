import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createTwoFilesPatch } from "diff";
import { peekDaemon } from "../../client/connect.ts";
import { SERVER_NAME_PATTERN } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { PACKAGE_ROOT } from "../../platform/package-files.ts";
import { resolvePaths } from "../../platform/paths.ts";
import type { ClientConfig, Scope, ServerEntry } from "./client.ts";
import { clientNamed } from "./index.ts";
import { enabledServers } from "./per-server.ts";
import { findFile, replaceFile } from "./replace-file.ts";
import { commandFor, httpEntry, isOwnEntry, reachableBase, stdioEntry } from "./server-entry.ts";

export interface GenerateOptions {
  client: string;
  scope?: Scope;
  transport: "stdio" | "http";
  /** One entry for each of these MCP servers, in place of the one for all of firebreak. */
  servers: string[];
  /** One entry for all MCP servers, in place of firebreak's own tools. */
  isServers: boolean;
  /** A file that names the servers. */
  serversFile?: string;
  /** Of HTTP entries; by default where the daemon listens. */
  url?: string;
  /** What stands around a server's name in its URL. */
  path: string;
  suffix: string;
  /** False: no key is named. */
  keyEnv: string | false;
  /** Of the one entry. */
  name?: string;
  /** In place of the client's own file. */
  output?: string;
  /** Also an entry that is not firebreak's. */
  replace: boolean;
  action: "print" | "write" | "remove";
}

/** What a client's file has, or is to have. */
export interface Generated {
  client: string;
  scope: Scope;
  file: string;
  names: string[];
  /** A file with these entries alone; nothing for `remove`. */
  snippet: string | undefined;
  /** A unified diff; empty where nothing changes. */
  diff: string;
  /** The file has been changed. */
  changed: boolean;
  backup: string | undefined;
  /** The variable that the client needs in its environment. */
  keyEnv: string | undefined;
}

/** Makes entries for a client, and puts them into its file where that is asked for, or takes them out. */
export async function generate(options: GenerateOptions): Promise<Generated> {
  const client = clientNamed(options.client);
  const scope = options.scope ?? (client.scopes[0] as Scope);
  if (!client.scopes.includes(scope) && options.output === undefined) {
    throw new FirebreakError("INVALID_ARGUMENT", `${client.name} has no file for the scope '${scope}'`, {
      hint: `Leave --scope out, or name a file with --output.`,
    });
  }
  const { env, platform } = process;
  const place = { env, platform, home: os.homedir(), cwd: process.cwd(), isThere: existsSync };
  const file = path.resolve(options.output ?? client.file(scope, place));
  const entries = await makeEntries(client, options);
  const keyEnv = entries.find(({ server }) => server?.keyEnv !== undefined)?.server?.keyEnv;
  const about = { client: client.id, scope, file, names: entries.map(({ name }) => name), keyEnv };
  const snippet = options.action === "remove" ? undefined : changeText(client, "", entries, { replace: true });
  if (options.action === "print") return { ...about, snippet, diff: "", changed: false, backup: undefined };

  const found = await findFile(file);
  const before = found.text ?? "";
  const after = inFile(file, () => changeText(client, before, entries, options));
  if (after === before) return { ...about, snippet, diff: "", changed: false, backup: undefined };
  const label = found.text === undefined ? "/dev/null" : file;
  const diff = createTwoFilesPatch(label, file, before, after, undefined, undefined, { context: 3 });
  // What is the user's own may hold tokens; what is a project's, others read.
  const mode = scope === "user" ? 0o600 : 0o644;
  const backup = await replaceFile(found, after, { mode, now: new Date() });
  return { ...about, snippet, diff: diff.replace(/^(Index: .*\n)?=+\n/, ""), changed: true, backup };
}

interface NamedEntry {
  name: string;
  /** Undefined where it is to be taken out. */
  server: ServerEntry | undefined;
}

async function makeEntries(client: ClientConfig, options: GenerateOptions): Promise<NamedEntry[]> {
  const servers = options.serversFile === undefined ? options.servers : readServers(options.serversFile);
  for (const server of options.servers) {
    if (!SERVER_NAME_PATTERN.test(server))
      throw new FirebreakError("INVALID_NAME", `'${server}' is no name of a server: a-z, 0-9 and '-', at most 24`);
  }
  if (servers.length === 0 && options.serversFile !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", `${options.serversFile} has no server that is enabled`);
  if (servers.length > 1 && options.name !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "--name is for one entry; several servers have their own names");
  const whole: (string | undefined)[] = servers.length === 0 ? [undefined] : servers;
  const named = whole.map((server) => ({ server, name: options.name ?? server ?? "firebreak" }));
  for (const { name } of named) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name) && options.serversFile === undefined)
      throw new FirebreakError(
        "INVALID_NAME",
        `'${name}' is no name that clients take: letters, digits, '_', '.' and '-'`,
      );
  }
  const { isServers } = options;
  if (options.action === "remove") return named.map(({ name }) => ({ name, server: undefined }));
  if (options.transport === "stdio") {
    const program = path.join(PACKAGE_ROOT, "bin", "firebreak");
    const command = commandFor(program, { isDesktop: client.isDesktop, searchPath: process.env.PATH });
    const keyEnv = options.keyEnv || "FIREBREAK_API_KEY";
    return named.map(({ name, server }) => ({
      name,
      server: stdioEntry({ server, isServers }, { command, env: process.env, keyEnv }),
    }));
  }
  const base = checkBase(options.url ?? (await findBase()));
  const parts = { base, path: options.path, suffix: options.suffix };
  return named.map(({ name, server }) => ({
    name,
    server: httpEntry({ server, isServers }, parts, options.keyEnv || undefined),
  }));
}

function readServers(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new FirebreakError("INVALID_ARGUMENT", `cannot read ${file} (${reason})`, { cause });
  }
  return inFile(file, () => enabledServers(text));
}

/** Where the daemon that the environment names, or this host's, is reached over HTTP. */
async function findBase(): Promise<string> {
  if (process.env.FIREBREAK_URL) return process.env.FIREBREAK_URL;
  const status = await peekDaemon(resolvePaths)
    .then((daemon) => daemon.status())
    .catch((error: FirebreakError) => {
      if (error.code === "DAEMON_UNAVAILABLE") return undefined;
      throw error;
    });
  if (status?.listen?.url !== undefined) return reachableBase(status.listen.url);
  throw new FirebreakError("DAEMON_NOT_LISTENING", "the daemon of this host has no address that HTTP reaches it by", {
    hint: "Give it one: firebreak daemon start --listen 127.0.0.1:9600. Or say where it is: --url http://HOST:PORT. Without HTTP: --transport stdio.",
  });
}

function checkBase(base: string): string {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "")
    throw new FirebreakError("INVALID_ARGUMENT", `--url: '${base}' is no URL such as http://127.0.0.1:9600`);
  if (url.username !== "" || url.password !== "")
    throw new FirebreakError("INVALID_ARGUMENT", "--url: a password in a URL would be in the client's file");
  return base;
}

function changeText(
  client: ClientConfig,
  before: string,
  entries: NamedEntry[],
  { replace }: { replace: boolean },
): string {
  let text = before;
  for (const { name, server } of entries) {
    const there = client.find(text, name);
    if (there !== undefined && !replace && !isOwnEntry(there, name, server)) {
      throw new FirebreakError("CLIENT_ENTRY_CONFLICT", `it has a server '${name}' that is not firebreak's`, {
        hint:
          server === undefined
            ? "--replace takes it out all the same."
            : "Choose another name with --name, or have it replaced with --replace.",
      });
    }
    if (server === undefined || (replace && there !== undefined && !isOwnEntry(there, name, server)))
      text = client.remove(text, name);
    if (server !== undefined) text = client.merge(text, name, server);
  }
  return text;
}

/** Errors about a text, with the file that it is of. */
function inFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FirebreakError) || !error.code.startsWith("CLIENT_")) throw error;
    const { code, message, hint, details } = error;
    throw new FirebreakError(code, `${file}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      details: { ...details, file },
      cause: error,
    });
  }
}
