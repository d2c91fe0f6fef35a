import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import { z } from "zod";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { findNearest } from "../errors/nearest.ts";
import { toJsonSchema } from "./arguments.ts";
import { carryOut } from "./guarded.ts";
import { toFailure, toResult } from "./result.ts";
import type { AnyTool, ToolContext } from "./tool.ts";
import { DEFAULT_TOOLSETS, TOOLSET_NAMES, toolsetOf, toolsOf } from "./toolsets.ts";
import type { VmClient } from "./vm-client.ts";

/** All tools, of every toolset, in the order in which clients list them. */
export const TOOLS: readonly AnyTool[] = toolsOf(TOOLSET_NAMES);

const CATALOGUE = TOOLSET_NAMES.flatMap((toolset) => toolsOf([toolset]).map((tool) => ({ toolset, tool })));

export interface CallOptions extends Omit<ToolContext, "client" | "catalogue"> {
  /** Reaches the daemon; asked at each call, so that nothing is needed to list tools. */
  connect: () => Promise<VmClient>;
  /** Hears of a call that has ended, unless the daemon was not reached: there is nobody to tell then. */
  onEnd?: (client: VmClient, result: CallToolResult, durationMs: number) => void;
}

/** Tools by name, whatever transport serves them: those of the default toolsets unless told otherwise. */
export class ToolRegistry {
  readonly #tools: ReadonlyMap<string, AnyTool>;
  readonly #listing: Tool[];

  constructor(tools: readonly AnyTool[] = toolsOf(DEFAULT_TOOLSETS)) {
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
    this.#listing = tools.map(toListing);
  }

  list(): Tool[] {
    return this.#listing;
  }

  get(name: string): AnyTool | undefined {
    return this.#tools.get(name);
  }

  /** What to tell a caller of a tool that is not here. */
  explainMissing(name: string): string {
    const toolset = toolsetOf(name);
    if (toolset !== undefined && !this.#tools.has(name))
      return `the tool '${name}' is of the toolset '${toolset}', which is not served here: serve mcp --toolsets ${toolset} (or all)`;
    const names = [...this.#tools.keys()];
    const nearest = findNearest(name, names);
    return `no tool is named '${name}'${nearest === undefined ? "" : `, did you mean '${nearest}'?`}; there are ${names.join(", ")}`;
  }

  /** Calls a tool. Whatever goes wrong is in the result. */
  async call(tool: AnyTool, args: unknown, { connect, onEnd, ...rest }: CallOptions): Promise<CallToolResult> {
    const startMs = performance.now();
    let client: VmClient | undefined;
    let result: CallToolResult;
    try {
      const prepared = tool.prepare(args);
      client = await connect();
      result = toResult(await carryOut(tool, prepared, { ...rest, client, catalogue: CATALOGUE }));
    } catch (thrown) {
      const error = await explain(toFirebreakError(thrown), client, rest.signal);
      result = toFailure(error, vmOf(args));
    }
    if (client !== undefined) onEnd?.(client, result, performance.now() - startMs);
    return result;
  }
}

function toListing(tool: AnyTool): Tool {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: toJsonSchema(tool.inputSchema, "input") as Tool["inputSchema"],
    ...(tool.answersImages ? {} : { outputSchema: toJsonSchema(outputOf(tool), "output") }),
    annotations: { title: tool.title, ...tool.annotations },
  };
}

/** A preview's answer takes the place of the tool's own; what is in it, its text tells. */
function outputOf({ outputSchema, annotations }: AnyTool): z.ZodObject {
  if (annotations.readOnlyHint) return outputSchema;
  return outputSchema.partial().extend({ preview: z.looseObject({}).optional() });
}

/** The VM that a call named, for its failure; only what has been asked for is repeated. */
function vmOf(args: unknown): string | undefined {
  const vm = (args as { vm?: unknown } | null | undefined)?.vm;
  return typeof vm === "string" && /^[\w.-]{1,64}$/.test(vm) ? vm : undefined;
}

async function explain(
  error: FirebreakError,
  client: VmClient | undefined,
  signal: AbortSignal,
): Promise<FirebreakError> {
  if (client === undefined) return error;
  const hint =
    error.code === "VM_NOT_FOUND"
      ? await tellNames(client.vms.list({ signal }), "VMs", "There is no VM yet; vm_create makes one.")
      : error.code === "SNAPSHOT_NOT_FOUND"
        ? await tellNames(
            client.snapshots.list({ signal }),
            "snapshots",
            "There is no snapshot; snapshot_create takes one.",
          )
        : error.code === "DRIVE_NOT_FOUND"
          ? await tellNames(client.drives.list({ signal }), "drives", "There is no drive; drive_create makes one.")
          : undefined;
  return hint === undefined ? error : new FirebreakError(error.code, error.message, { hint, cause: error });
}

async function tellNames(list: Promise<{ name: string }[]>, what: string, none: string): Promise<string | undefined> {
  const found = await list.catch(() => undefined);
  if (found === undefined) return undefined;
  const names = found.map(({ name }) => name).slice(0, 50);
  return names.length === 0 ? none : `Existing ${what}: ${names.join(", ")}.`;
}
