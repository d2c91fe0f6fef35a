import type { z } from "zod";
import type { Progress } from "../contract/vm.ts";
import { parseArguments } from "./arguments.ts";
import { CONFIRM_CONTROL, CONTROLS } from "./controls.ts";
import type { VmClient } from "./vm-client.ts";

/** What a tool's handler works with, besides its arguments. */
export interface ToolContext {
  client: VmClient;
  /** All tools there are, also those that are not served. */
  catalogue: readonly { toolset: string; tool: AnyTool }[];
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

/** What a call would do. */
export interface Plan {
  /** In order, each `kind: what it means`. */
  steps: string[];
  /** What the plan was made from: a confirmation does not hold once it has changed. */
  state: unknown;
  /** Arguments that name exactly what was looked at, such as ids in place of names; a confirmed call gets these. */
  pinned?: Record<string, unknown>;
  vm?: string;
}
export type Planner<Args> = (args: Args, context: ToolContext) => Promise<Plan>;

/** A tool as its author writes it. */
export interface ToolDefinition<Input extends z.ZodObject, Output extends z.ZodObject> {
  /** `[a-z_]{1,40}`: clients put prefixes before it, and models take 64 characters in all. */
  name: string;
  title: string;
  description: string;
  annotations: ToolHints;
  /**
   * May answer with an image. Such a tool lists no output schema, so that an image's result can do without structured content: where there is
   * some, Codex shows its model nothing else, and the image would be lost.
   */
  answersImages?: boolean;
  /** May take long: ended at once when the client goes away, where other work gets a moment to finish. */
  isLong?: boolean;
  /** A strict object. A tool that is not read-only also gets `preview` and `idempotency_key`. */
  inputSchema: Input;
  outputSchema: Output;
  /** What a preview tells; without one it tells the tool's title. */
  plan?: Planner<z.output<Input>>;
  /** The same for a tool that destroys or changes the host: it acts only with the confirm token of a preview. */
  confirm?: Planner<z.output<Input>>;
  /** Which of its calls need the token, where not all do. */
  confirmWhen?: (args: z.output<Input>) => boolean;
  handler: (args: z.output<Input>, context: ToolContext) => Promise<ToolOutput<z.input<Output>>>;
}

/** A call whose arguments are in order. Nothing has been done. */
export interface PreparedCall {
  controls: { preview: boolean; confirmToken?: string; idempotencyKey?: string };
  /** What is asked for, without the controls. */
  args: Record<string, unknown>;
  needsConfirmation: boolean;
  plan: (context: ToolContext) => Promise<Plan>;
  run: (context: ToolContext, pinned?: Record<string, unknown>) => Promise<ToolOutput<unknown>>;
}

/** A tool as the registry holds it: whatever its types are, it takes unknown arguments. */
export interface AnyTool
  extends Omit<
    ToolDefinition<z.ZodObject, z.ZodObject>,
    "handler" | "plan" | "confirm" | "confirmWhen" | "inputSchema"
  > {
  /** With the controls that it takes. */
  inputSchema: z.ZodObject;
  /** Some of its calls do, at least. */
  needsConfirmation: boolean;
  /** Checks a call's arguments, before anything is done. Throws INVALID_ARGUMENT. */
  prepare: (args: unknown) => PreparedCall;
}

/** Ties a tool's handler to its schemas. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: ToolDefinition<Input, Output>,
): AnyTool {
  const { handler, plan, confirm, confirmWhen, inputSchema, ...rest } = definition;
  const controls = rest.annotations.readOnlyHint
    ? {}
    : { ...CONTROLS, ...(confirm === undefined ? {} : CONFIRM_CONTROL) };
  const schema: z.ZodObject = inputSchema.extend(controls);
  const planner = confirm ?? plan ?? ((args, context) => planPlainly(rest, args, context));
  return {
    ...rest,
    inputSchema: schema,
    needsConfirmation: confirm !== undefined,
    prepare: (given) => {
      const { preview, confirm_token, idempotency_key, ...args } = parseArguments<Record<string, unknown>>(
        rest.name,
        schema,
        given,
      );
      const own = args as z.output<Input>;
      return {
        controls: {
          preview: preview === true,
          ...(typeof confirm_token === "string" ? { confirmToken: confirm_token } : {}),
          ...(typeof idempotency_key === "string" ? { idempotencyKey: idempotency_key } : {}),
        },
        args,
        needsConfirmation: confirm !== undefined && (confirmWhen?.(own) ?? true),
        plan: (context) => planner(own, context),
        run: (context, pinned) => handler({ ...own, ...pinned }, context),
      };
    },
  };
}

/** What can be told of any tool: that the VM it is about is there, and what the tool does. */
async function planPlainly(
  { name, title }: { name: string; title: string },
  args: Record<string, unknown>,
  { client, signal }: ToolContext,
): Promise<Plan> {
  if (typeof args.vm !== "string") return { steps: [`${name}: ${title}`], state: null };
  const vm = await client.vms.get(args.vm, { signal });
  return { steps: [`${name}: ${title} (${vm.name}, ${vm.state})`], state: vm, vm: vm.name };
}
