import assert from "node:assert/strict";
import { type CallToolResult, Client, type ClientOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { FAILURE_KEY } from "../../src/mcp/result.ts";
import type { DaemonFixture } from "./daemon-fixture.ts";

export interface McpAnswer {
  isError: boolean;
  text: string;
  /** Looked into by field; its shape is checked by the client against the tool's output schema. */
  data: Record<string, unknown>;
  content: CallToolResult["content"];
}

export interface McpConnection {
  client: Client;
  call: (
    name: string,
    args: Record<string, unknown>,
    request?: Parameters<Client["callTool"]>[1],
  ) => Promise<McpAnswer>;
  close: () => Promise<void>;
}

/** Clients of both eras of the protocol, each with the name of a VM for it. */
export const ERAS: { era: string; vm: string; options: ClientOptions }[] = [
  { era: "2025-11-25", vm: "legacy", options: {} },
  { era: "2026-07-28", vm: "modern", options: { versionNegotiation: { mode: { pin: "2026-07-28" } } } },
];

/** A real client of `firebreak serve mcp` with every tool. */
export async function openMcpClient(fixture: DaemonFixture, options: ClientOptions = {}): Promise<McpConnection> {
  const pairs = Object.entries(fixture.env).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const args = ["serve", "mcp", "--toolsets", "all"];
  const transport = new StdioClientTransport({ command: fixture.program, args, env: Object.fromEntries(pairs) });
  const client = new Client({ name: "e2e", version: "0" }, options);
  await client.connect(transport);
  // The client checks structured content against the output schemas it has seen.
  await client.listTools();
  const call: McpConnection["call"] = async (name, given, request) => {
    const options = { timeout: 180_000, ...request };
    const result = (await client.callTool({ name, arguments: given }, options)) as CallToolResult;
    const [first] = result.content;
    return {
      isError: result.isError === true,
      text: first?.type === "text" ? first.text : "",
      data: (result.structuredContent ?? result._meta?.[FAILURE_KEY] ?? {}) as Record<string, unknown>,
      content: result.content,
    };
  };
  return { client, call, close: () => client.close() };
}

/** Previews a call and confirms it. */
export async function confirmed(
  call: McpConnection["call"],
  name: string,
  args: Record<string, unknown>,
): Promise<McpAnswer> {
  const { data, text } = await call(name, { ...args, preview: true });
  assert.ok(data.preview, text);
  return call(name, { ...args, confirm_token: (data.preview as { confirm_token: string }).confirm_token });
}
