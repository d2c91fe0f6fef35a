import path from "node:path";
import type { CallToolResult, Client, Tool } from "@modelcontextprotocol/client";
import type { Command } from "commander";
import { ERROR_CODES, type ErrorCode } from "../../../errors/catalogue.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { findNearest } from "../../../errors/nearest.ts";
import { PACKAGE_ROOT, readVersion } from "../../../platform/package-files.ts";
import { stripControl, stripLines } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatBytes, printJson } from "../../output.ts";
import { describeCall, readToolArguments, type ToolSchema } from "../../tool-arguments.ts";

/** The tool says that it has failed; what it says is printed all the same. */
const EXIT_TOOL_ERROR = 1;
/** For a server that has to be brought up, and then thinks. */
const TIMEOUT_MS = 600_000;

export function addServerCall(parent: Command): void {
  const command = parent
    .command("call")
    .summary("call a tool of an MCP server, or show its tools")
    .description(
      "Call a tool of an MCP server as a client does, and print what it answers; without a tool, show which there are and what each takes. Arguments are NAME=VALUE, or one JSON object. Ends with 1 when the tool says that it has failed.",
    )
    .argument("<server>", "name")
    .argument("[tool]", "its name, as the server has it")
    .argument("[arguments...]", "NAME=VALUE, or a JSON object")
    .action(async (server: string, tool: string | undefined, words: string[]) => {
      const { client: daemon, asJson, progress } = await openContext(command);
      // What keeps it from starting is told as by every other command.
      const { name } = await daemon.servers.get(server);
      await daemon.servers.prepare(name, { onProgress: progress.update }).finally(() => progress.clear());
      const client = await connect(name);
      try {
        const { tools } = await client.listTools();
        if (tool === undefined) {
          if (asJson) printJson({ tools });
          else for (const each of tools) process.stdout.write(describeTool(each));
          return;
        }
        const found = findTool(name, tool, tools);
        const args = readToolArguments(words, found.inputSchema as ToolSchema);
        const result = await callTool(client, name, found.name, args);
        if (asJson) printJson(result);
        else printResult(result);
        if (result.isError === true) process.exitCode = EXIT_TOOL_ERROR;
      } finally {
        await client.close();
      }
    });
}

async function callTool(
  client: Client,
  server: string,
  name: string,
  args: Record<string, unknown>,
): Promise<CallToolResult> {
  try {
    return (await client.callTool({ name, arguments: args }, { timeout: TIMEOUT_MS })) as CallToolResult;
  } catch (cause) {
    const { message } = cause as Error;
    // The gateway's own begin with their code.
    const [, code = "", said = ""] = /^(?:MCP error -?\d+: )?([A-Z][A-Z_]+): (.*)$/s.exec(message) ?? [];
    if (Object.hasOwn(ERROR_CODES, code)) throw new FirebreakError(code as ErrorCode, said, { cause });
    throw new FirebreakError("SERVER_PROTOCOL_ERROR", `the server '${server}': ${message}`, { cause });
  }
}

/** As any client does that starts its servers itself. */
async function connect(server: string): Promise<Client> {
  const { Client } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const client = new Client({ name: "firebreak server call", version: readVersion() });
  const env = Object.fromEntries(
    Object.entries(process.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  const program = path.join(PACKAGE_ROOT, "bin", "firebreak");
  await client.connect(new StdioClientTransport({ command: program, args: ["mcp", "run", server], env }), {
    timeout: TIMEOUT_MS,
  });
  return client;
}

/** By its own name, or as it is called at the endpoint of all servers. */
function findTool(server: string, name: string, tools: readonly Tool[]): Tool {
  const own = name.startsWith(`${server}__`) ? name.slice(server.length + 2) : name;
  const found = tools.find((tool) => tool.name === name) ?? tools.find((tool) => tool.name === own);
  if (found !== undefined) return found;
  const names = tools.map((tool) => tool.name);
  const nearest = findNearest(own, names);
  throw new FirebreakError("INVALID_ARGUMENT", `the server '${server}' offers no tool '${name}'`, {
    hint: nearest === undefined ? `There are: firebreak server call ${server}` : `Did you mean '${nearest}'?`,
  });
}

function describeTool({ name, description = "", inputSchema }: Tool): string {
  const [first = ""] = description.trim().split("\n");
  const about = first === "" ? "" : `  ${stripControl(first.slice(0, 200))}\n`;
  return `${stripControl(describeCall(name, inputSchema as ToolSchema))}\n${about}`;
}

/** What a server says may hold anything. */
function printResult({ content, structuredContent }: CallToolResult): void {
  for (const item of content) {
    if (item.type === "text") process.stdout.write(`${stripLines(item.text)}\n`);
    else if (item.type === "resource" && "text" in item.resource)
      process.stdout.write(`${stripControl(item.resource.uri)}\n${stripLines(item.resource.text)}\n`);
    else if (item.type === "image" || item.type === "audio")
      process.stdout.write(
        `(${item.type}: ${stripControl(item.mimeType)}, ${formatBytes(Buffer.byteLength(item.data, "base64"))}; --json has it)\n`,
      );
    else process.stdout.write(`(${item.type}; --json has it)\n`);
  }
  if (content.length === 0 && structuredContent !== undefined) printJson(structuredContent);
}
