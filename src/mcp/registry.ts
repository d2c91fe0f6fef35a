import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { toJsonSchema } from "./arguments.ts";
import { fileDelete } from "./guest/file-delete.ts";
import { fileList } from "./guest/file-list.ts";
import { fileRead } from "./guest/file-read.ts";
import { fileWrite } from "./guest/file-write.ts";
import { runCommand } from "./guest/run-command.ts";
import { toFailure, toResult } from "./result.ts";
import { snapshotCreate } from "./snapshot/snapshot-create.ts";
import { snapshotDelete } from "./snapshot/snapshot-delete.ts";
import { snapshotFork } from "./snapshot/snapshot-fork.ts";
import { snapshotGet } from "./snapshot/snapshot-get.ts";
import { snapshotList } from "./snapshot/snapshot-list.ts";
import { snapshotRestore } from "./snapshot/snapshot-restore.ts";
import { templateList } from "./template/template-list.ts";
import { templatePrune } from "./template/template-prune.ts";
import type { AnyTool, ToolContext } from "./tool.ts";
import { vmCreate } from "./vm/vm-create.ts";
import { vmDelete } from "./vm/vm-delete.ts";
import { vmFork } from "./vm/vm-fork.ts";
import { vmGet } from "./vm/vm-get.ts";
import { vmList } from "./vm/vm-list.ts";
import { vmPause } from "./vm/vm-pause.ts";
import { vmResume } from "./vm/vm-resume.ts";
import { vmStart } from "./vm/vm-start.ts";
import { vmStop } from "./vm/vm-stop.ts";
import { vmSuspend } from "./vm/vm-suspend.ts";
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
  vmPause,
  vmResume,
  vmSuspend,
  vmFork,
  snapshotCreate,
  snapshotList,
  snapshotGet,
  snapshotRestore,
  snapshotFork,
  snapshotDelete,
  templateList,
  templatePrune,
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
  if (client === undefined) return error;
  const hint =
    error.code === "VM_NOT_FOUND"
      ? await tellNames(client.vmList({ signal }), "VMs", "There is no VM yet; vm_create makes one.")
      : error.code === "SNAPSHOT_NOT_FOUND"
        ? await tellNames(
            client.snapshotList({ signal }),
            "snapshots",
            "There is no snapshot; snapshot_create takes one.",
          )
        : undefined;
  return hint === undefined ? error : new FirebreakError(error.code, error.message, { hint, cause: error });
}

async function tellNames(list: Promise<{ name: string }[]>, what: string, none: string): Promise<string | undefined> {
  const found = await list.catch(() => undefined);
  if (found === undefined) return undefined;
  const names = found.map(({ name }) => name).slice(0, 50);
  return names.length === 0 ? none : `Existing ${what}: ${names.join(", ")}.`;
}
