import type {
  CallToolResult,
  GetPromptResult,
  InputRequiredResult,
  Prompt,
  ReadResourceResult,
  Resource,
  ResourceTemplateType,
  ServerContext,
  ServerOptions,
  Tool,
} from "@modelcontextprotocol/server";
import type { LogLevel } from "./log-levels.ts";

/** Whose requests a server answers. */
export interface ExtrasCaller {
  /** What authentication found out. */
  principal: string;
  /** A legacy client's session; modern clients have none. */
  session: string | undefined;
  /** What a legacy client has said that it can do; a modern one says it with each request. */
  capabilities: () => Record<string, unknown>;
  /** What a legacy client has said that it is. */
  info: () => { name?: string; version?: string } | undefined;
  /** What a legacy client has said that it wants to hear of the log; a modern one says it with each request. */
  logLevel: () => LogLevel | undefined;
}

/** What a server offers besides its own: MCP servers in VMs, or the conformance suite's fixtures. */
export interface Extras {
  tools: Tool[];
  /** Undefined for a tool that is none of these. */
  callTool(
    name: string,
    args: Record<string, unknown>,
    context: ServerContext,
  ): Promise<CallToolResult | InputRequiredResult> | undefined;
  resources: Resource[];
  resourceTemplates: ResourceTemplateType[];
  /** Undefined for a resource that is none of these. */
  readResource(
    uri: string,
    context: ServerContext,
  ): ReadResourceResult | Promise<ReadResourceResult | InputRequiredResult> | undefined;
  isWatchable(uri: string): boolean;
  /** Undefined for what is none of these. */
  complete?(
    params: { ref: Record<string, unknown>; argument: unknown },
    context: ServerContext,
  ): Promise<Record<string, unknown>> | undefined;
  prompts: Prompt[];
  getPrompt(
    name: string,
    args: Record<string, string>,
    context: ServerContext,
  ): GetPromptResult | InputRequiredResult | Promise<GetPromptResult | InputRequiredResult> | undefined;
  capabilities: NonNullable<ServerOptions["capabilities"]>;
  options: Pick<ServerOptions, "requestState">;
}
