import { ProtocolError, ProtocolErrorCode, Server, type ServerContext } from "@modelcontextprotocol/server";
import { INSTRUCTIONS } from "./instructions.ts";
import { createProgressReporter } from "./progress.ts";
import type { CallOptions, ToolRegistry } from "./registry.ts";

export interface McpServerOptions {
  registry: ToolRegistry;
  /** Reaches the daemon, at the first call and not before. */
  connect: CallOptions["connect"];
  version: string;
  /** Aborts when the client goes away: ends calls that may take long, the others may finish. */
  endingSignal: AbortSignal;
}

/** An MCP server of firebreak's tools, for either protocol era and any transport. One serves one connection. */
export function createMcpServer({ registry, connect, version, endingSignal }: McpServerOptions): Server {
  const server = new Server(
    { name: "firebreak", title: "firebreak VMs", version },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  server.setRequestHandler("tools/list", () => ({ tools: registry.list() }));
  server.setRequestHandler("tools/call", (request, context) => {
    const { name, arguments: args } = request.params;
    const tool = registry.get(name);
    if (tool === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, registry.explainMissing(name));
    const own = context.mcpReq.signal;
    const signal = tool.isLong ? AbortSignal.any([own, endingSignal]) : own;
    return registry.call(tool, args, { connect, signal, onProgress: progressOf(context) });
  });
  return server;
}

function progressOf(context: ServerContext): CallOptions["onProgress"] {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return () => {};
  return createProgressReporter((note) => {
    // A caller that is gone needs no news.
    context.mcpReq.notify({ method: "notifications/progress", params: { progressToken, ...note } }).catch(() => {});
  });
}
