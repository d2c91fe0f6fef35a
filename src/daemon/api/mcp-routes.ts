import type { IncomingMessage, ServerResponse } from "node:http";
import { type Api, answerRaw, type Caller } from "./context.ts";

export interface McpDeps {
  mcp: {
    /** Answers a request to the MCP endpoint. */
    handle(incoming: IncomingMessage, outgoing: ServerResponse, caller: Caller): Promise<void>;
  };
}

export function addMcpRoutes(api: Api, { mcp }: McpDeps): void {
  api.all("/mcp", (context) =>
    answerRaw(context, (incoming, outgoing) => mcp.handle(incoming, outgoing, context.env.caller)),
  );
}
