import { type CallToolResult, Client, type ClientOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { FAILURE_KEY } from "../../src/mcp/result.ts";
import type { DaemonFixture } from "./daemon-fixture.ts";

export interface McpAnswer {
  isError: boolean;
  text: string;
  /** Looked into by field; its shape is checked by the client against the tool's output schema. */
  data: Record<string, unknown>;
}

export interface McpConnection {
  client: Client;
  call: (name: string, args: Record<string, unknown>) => Promise<McpAnswer>;
  close: () => Promise<void>;
}

/** A real client of `firebreak serve mcp` with every tool. */
export async function openMcpClient(fixture: DaemonFixture, options: ClientOptions = {}): Promise<McpConnection> {
  const pairs = Object.entries(fixture.env).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const args = ["serve", "mcp", "--toolsets", "all"];
  const transport = new StdioClientTransport({ command: fixture.program, args, env: Object.fromEntries(pairs) });
  const client = new Client({ name: "e2e", version: "0" }, options);
  await client.connect(transport);
  // The client checks structured content against the output schemas it has seen.
  await client.listTools();
  const call = async (name: string, given: Record<string, unknown>): Promise<McpAnswer> => {
    const request = { name, arguments: given };
    const result = (await client.callTool(request, { timeout: 180_000 })) as CallToolResult;
    const [first] = result.content;
    return {
      isError: result.isError === true,
      text: first?.type === "text" ? first.text : "",
      data: (result.structuredContent ?? result._meta?.[FAILURE_KEY] ?? {}) as Record<string, unknown>,
    };
  };
  return { client, call, close: () => client.close() };
}
