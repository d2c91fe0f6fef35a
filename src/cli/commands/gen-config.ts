import { type Command, Option } from "commander";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { stripControl } from "../../platform/terminal-text.ts";
import type { Scope } from "../client-config/client.ts";
import type { Generated, GenerateOptions } from "../client-config/generate.ts";
import { isJson } from "../context.ts";
import { printJson } from "../output.ts";

interface GenConfigFlags {
  client?: string;
  write?: true;
  remove?: true;
  replace?: true;
  scope?: Scope;
  transport?: "stdio" | "http";
  server?: string[];
  servers?: true;
  url?: string;
  base?: string;
  path?: string;
  suffix?: string;
  /** False with --no-key. */
  key: boolean;
  keyEnv?: string;
  name?: string;
  output?: string;
}

/** Of src/cli/client-config, which loads parsers that other commands do without. */
export const CLIENT_IDS = [
  "claude-code",
  "claude-desktop",
  "cursor",
  "vscode",
  "codex",
  "gemini",
  "opencode",
  "zed",
  "copilot",
  "mcp-json",
];

export function addGenConfig(program: Command): void {
  const command = program
    .command("gen-config")
    .summary("tell an MCP client of firebreak")
    .description(
      "Print what an MCP client's own configuration needs for firebreak (VMs as tools; with --servers the MCP servers of 'firebreak up'), and which file that is; with --write it is merged there: comments and other servers stay, what it was is kept beside it, and the change is shown. With a file of servers there is an entry for each of them, by its URL.",
    )
    .argument("[servers.json]", "file with mcpServers: an HTTP entry for each that is enabled")
    .argument("[mcp.json]", "file to merge these into (default: print them)")
    .option("--client <id>", CLIENT_IDS.join(", "))
    .option("--write", "merge it into the client's file")
    .option("--remove", "take it out of the client's file again")
    .addOption(new Option("--scope <scope>", "whose file (default: the user's)").choices(["user", "project"]))
    .addOption(
      new Option(
        "--transport <kind>",
        "have the client start firebreak, or connect to the daemon (default: stdio)",
      ).choices(["stdio", "http"]),
    )
    .option("--servers", "the tools of all MCP servers, in place of firebreak's own")
    .option("--server <names...>", "an entry for each of these MCP servers")
    .option("--url <base>", "the daemon's URL (default: FIREBREAK_URL, or where this host's daemon listens)")
    .option("--key-env <variable>", "the client's variable that holds the API key (default: FIREBREAK_API_KEY)")
    .option("--no-key", "name no API key, where something before the daemon asks for its own")
    .option("--name <name>", "what the client calls it (default: firebreak, or the server's name)")
    .option("--replace", "also an entry of that name that is not firebreak's")
    .option("--output <file>", "write to this file in place of the client's own")
    .option("-b, --base <url>", "the same as --url")
    .option("-p, --path <path>", "what comes before a server's name in its URL (default: /servers)")
    .option("-s, --suffix <suffix>", "and what behind it: /mcp, or /sse for old clients (default: /mcp)")
    .action(async (serversFile: string | undefined, mcpFile: string | undefined, flags: GenConfigFlags) => {
      const options = toOptions(flags, serversFile, mcpFile);
      const { generate } = await import("../client-config/generate.ts");
      const result = await generate(options);
      if (isJson(command)) printJson(toJson(result));
      else print(result, options.action);
    });
}

function toOptions(flags: GenConfigFlags, serversFile?: string, mcpFile?: string): GenerateOptions {
  if (flags.write && flags.remove)
    throw new FirebreakError("INVALID_ARGUMENT", "--write and --remove are one or the other");
  const url = flags.url ?? flags.base;
  if (flags.url !== undefined && flags.base !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "--url and --base are the same: one is enough");
  const parts = [flags.path, flags.suffix].some((part) => part !== undefined);
  const client = flags.client ?? (serversFile === undefined ? undefined : "mcp-json");
  if (client === undefined) {
    throw new FirebreakError("INVALID_ARGUMENT", "--client: which client is meant?", {
      hint: `One of ${CLIENT_IDS.join(", ")}; or name a file of servers: firebreak gen-config servers.json mcp.json`,
    });
  }
  if (serversFile !== undefined && flags.server !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "--server and a file of servers are one or the other");
  if (flags.servers && (serversFile !== undefined || flags.server !== undefined))
    throw new FirebreakError(
      "INVALID_ARGUMENT",
      "--servers is one entry for all of them, and single ones are named too",
    );
  if (mcpFile !== undefined && flags.output !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "--output and a second file are one or the other");
  if (parts && serversFile === undefined && flags.server === undefined)
    throw new FirebreakError(
      "INVALID_ARGUMENT",
      "--path and --suffix are for entries of servers: name them with --server",
    );
  if (flags.keyEnv !== undefined && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(flags.keyEnv)) {
    throw new FirebreakError("INVALID_ARGUMENT", "--key-env: that is no name of a variable", {
      hint: "The key itself does not go there: it would be in the client's file.",
    });
  }
  const output = mcpFile ?? flags.output;
  const http = url !== undefined || parts || serversFile !== undefined;
  if (flags.transport === "stdio" && http)
    throw new FirebreakError("INVALID_ARGUMENT", "URLs are for --transport http, and the other is asked for");
  return {
    client,
    ...(flags.scope === undefined ? {} : { scope: flags.scope }),
    transport: flags.transport ?? (http ? "http" : "stdio"),
    servers: [...new Set(flags.server)],
    isServers: flags.servers === true,
    ...(serversFile === undefined ? {} : { serversFile }),
    ...(url === undefined ? {} : { url }),
    path: flags.path ?? "/servers",
    suffix: flags.suffix ?? "/mcp",
    keyEnv: flags.key ? (flags.keyEnv ?? "FIREBREAK_API_KEY") : false,
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(output === undefined ? {} : { output }),
    replace: flags.replace === true,
    action: flags.remove ? "remove" : flags.write || output !== undefined ? "write" : "print",
  };
}

function toJson({ snippet, keyEnv, backup, ...result }: Generated): Record<string, unknown> {
  return {
    ...result,
    ...(snippet === undefined ? {} : { text: snippet }),
    ...(backup === undefined ? {} : { backup }),
    ...(keyEnv === undefined ? {} : { keyEnv }),
  };
}

function print({ file, snippet, diff, changed, backup, keyEnv }: Generated, action: GenerateOptions["action"]): void {
  const say = (line: string) => void process.stderr.write(`${stripControl(line)}\n`);
  if (action === "print") {
    process.stdout.write(snippet ?? "");
    say(`for ${file}; --write merges it there`);
  } else if (!changed)
    say(action === "remove" ? `${file} does not have it: nothing changed` : `${file} has it already: nothing changed`);
  else {
    process.stdout.write(`${diff.split("\n").map(stripControl).join("\n")}`);
    say(`${file} is changed${backup === undefined ? "" : `; what it was is kept: ${backup}`}`);
  }
  if (keyEnv !== undefined && action !== "remove")
    say(`the client needs an API key in ${keyEnv}; make one: firebreak key create NAME`);
}
