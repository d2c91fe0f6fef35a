import type { z } from "zod";
import type { Progress } from "../contract/vm.ts";
import { parseArguments } from "./arguments.ts";
import type { VmClient } from "./vm-client.ts";

/** What a tool's handler works with, besides its arguments. */
export interface ToolContext {
  client: VmClient;
  /** Aborts when the caller has given up or is gone: work in the guest must end then. */
  signal: AbortSignal;
  /** Tells a caller that asked for it how far the work is. */
  onProgress: (progress: Progress) => void;
}

/** Hints to the caller about what a tool does (MCP ToolAnnotations). */
export interface ToolHints {
  readOnlyHint: boolean;
  destructiveHint: boolean;
  idempotentHint: boolean;
  /** True when the tool can reach things outside the VM and this host. */
  openWorldHint: boolean;
}

/** What a tool has done. */
export interface ToolOutput<Structured = Record<string, unknown>> {
  /** Matches the tool's output schema. */
  structured: Structured;
  /** The VM it was done in; absent when it is about no single VM. */
  vm?: string;
  /** Short facts for the text's first line, such as `exit 0`. */
  facts: string[];
  /** The rest of the text. */
  text?: string;
  image?: { mimeType: string; base64: string };
}

/** A tool as its author writes it. */
export interface ToolDefinition<Input extends z.ZodType, Output extends z.ZodType> {
  /** `[a-z_]{1,40}`: clients put prefixes before it, and models take 64 characters in all. */
  name: string;
  title: string;
  description: string;
  annotations: ToolHints;
  /** May take long: ended at once when the client goes away, where other work gets a moment to finish. */
  isLong?: boolean;
  /** A strict object. */
  inputSchema: Input;
  outputSchema: Output;
  handler: (args: z.output<Input>, context: ToolContext) => Promise<ToolOutput<z.input<Output>>>;
}

/** A tool as the registry holds it: whatever its types are, it takes unknown arguments. */
export interface AnyTool extends Omit<ToolDefinition<z.ZodType, z.ZodType>, "handler"> {
  /** Checks a call's arguments, before anything is done. Throws INVALID_ARGUMENT; returns the work. */
  prepare: (args: unknown) => (context: ToolContext) => Promise<ToolOutput<unknown>>;
}

/** Ties a tool's handler to its schemas. */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(
  definition: ToolDefinition<Input, Output>,
): AnyTool {
  const { handler, ...rest } = definition;
  return {
    ...rest,
    prepare: (args) => {
      const parsed = parseArguments<z.output<Input>>(rest.name, rest.inputSchema as z.ZodType<z.output<Input>>, args);
      return (context) => handler(parsed, context);
    },
  };
}
