import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { toJsonSchema } from "./arguments.ts";
import { fileDelete } from "./guest/file-delete.ts";
import { fileList } from "./guest/file-list.ts";
import { fileRead } from "./guest/file-read.ts";
import { fileWrite } from "./guest/file-write.ts";
import { runCommand } from "./guest/run-command.ts";
import { toFailure, toResult } from "./result.ts";
import type { AnyTool, ToolContext } from "./tool.ts";
import { vmCreate } from "./vm/vm-create.ts";
import { vmDelete } from "./vm/vm-delete.ts";
import { vmGet } from "./vm/vm-get.ts";
import { vmList } from "./vm/vm-list.ts";
import { vmStart } from "./vm/vm-start.ts";
import { vmStop } from "./vm/vm-stop.ts";
import type { VmClient } from "./vm-client.ts";

/** All tools, in the order in which clients list them. */
export const TOOLS: readonly AnyTool[] = [
  runCommand,
  fileRead,
  fileWrite,
  fileList,
  fileDelete,
  vmCreate,
  vmList,
  vmGet,
  vmStart,
  vmStop,
  vmDelete,
];

export interface CallOptions extends Omit<ToolContext, "client"> {
  /** Reaches the daemon; asked at each call, so that nothing is needed to list tools. */
  connect: () => Promise<VmClient>;
}

/** Tools by name, whatever transport serves them. */
export class ToolRegistry {
  readonly #tools: ReadonlyMap<string, AnyTool>;
  readonly #listing: Tool[];

  constructor(tools: readonly AnyTool[] = TOOLS) {
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
    this.#listing = tools.map(toListing);
  }

  list(): Tool[] {
    return this.#listing;
  }

  get(name: string): AnyTool | undefined {
    return this.#tools.get(name);
  }

  /** Calls a tool. Whatever goes wrong is in the result. */
  async call(tool: AnyTool, args: unknown, { connect, ...rest }: CallOptions): Promise<CallToolResult> {
    let client: VmClient | undefined;
    try {
      const work = tool.prepare(args);
      client = await connect();
      return toResult(await work({ ...rest, client }));
    } catch (thrown) {
      const error = await explain(toFirebreakError(thrown), client, rest.signal);
      return toFailure(error, vmOf(args));
    }
  }
}

function toListing(tool: AnyTool): Tool {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: toJsonSchema(tool.inputSchema, "input") as Tool["inputSchema"],
    outputSchema: toJsonSchema(tool.outputSchema, "output"),
    annotations: { title: tool.title, ...tool.annotations },
  };
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
  if (error.code !== "VM_NOT_FOUND" || client === undefined) return error;
  const vms = await client.vmList({ signal }).catch(() => undefined);
  if (vms === undefined) return error;
  const names = vms.map(({ name }) => name).slice(0, 50);
  const hint = names.length === 0 ? "There is no VM yet; vm_create makes one." : `Existing VMs: ${names.join(", ")}.`;
  return new FirebreakError(error.code, error.message, { hint, cause: error });
}
