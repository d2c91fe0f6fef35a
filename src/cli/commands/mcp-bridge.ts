import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { serveThroughDaemon } from "../serve-through-daemon.ts";

interface BridgeFlags {
  url?: string;
  apiKeyFile?: string;
  toolsets?: string;
}

export function addMcpBridge(program: Command): void {
  program
    .command("mcp-bridge")
    .summary("MCP client on stdin and stdout, to a daemon's /mcp")
    .description(
      "Carry MCP between a client on stdin and stdout and a daemon's /mcp: this host's, or the one that --url or FIREBREAK_URL names.",
    )
    .option(
      "--url <url>",
      "the daemon's URL, such as https://vms.example.com (default: FIREBREAK_URL, or this host's daemon)",
    )
    .option("--api-key-file <file>", "file with the API key for it (default: FIREBREAK_API_KEY)")
    .option("--toolsets <list>", "tools to ask for, as 'serve mcp' has them (default: FIREBREAK_TOOLSETS)")
    .action(async (flags: BridgeFlags) => {
      const toolsets = flags.toolsets ?? process.env.FIREBREAK_TOOLSETS;
      const path = toolsets ? `/mcp?toolsets=${encodeURIComponent(toolsets)}` : "/mcp";
      await serveThroughDaemon(path, environmentOf(flags));
    });
}

function environmentOf({ url, apiKeyFile }: BridgeFlags): NodeJS.ProcessEnv {
  const key = apiKeyFile === undefined ? undefined : readKey(apiKeyFile);
  return {
    ...process.env,
    ...(url === undefined ? {} : { FIREBREAK_URL: url }),
    ...(key === undefined ? {} : { FIREBREAK_API_KEY: key }),
  };
}

function readKey(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new FirebreakError("INVALID_ARGUMENT", `the file with the API key cannot be read: ${file} (${reason})`, {
      cause,
    });
  }
}
