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

/** What a server offers besides its own: the conformance suite's fixtures, served by the code that serves everything else. */
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
  readResource(uri: string): ReadResourceResult | undefined;
  isWatchable(uri: string): boolean;
  prompts: Prompt[];
  getPrompt(
    name: string,
    args: Record<string, string>,
    context: ServerContext,
  ): GetPromptResult | InputRequiredResult | undefined;
  capabilities: NonNullable<ServerOptions["capabilities"]>;
  options: Pick<ServerOptions, "requestState">;
}
