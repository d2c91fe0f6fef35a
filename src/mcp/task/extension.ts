import {
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
  type Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { isEnded, type Task } from "../../contract/task.ts";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import { toResult } from "../result.ts";
import type { VmClient } from "../vm-client.ts";
import { runTask } from "./run-task.ts";
import { factsOf, textOf, toTaskView } from "./task-view.ts";

/**
 * MCP's extension for tasks, of revision 2026-07-28: a client that says with a request that it knows it gets a handle of `run_task`, and looks after the
 * task by `tasks/get` and `tasks/cancel`. Nothing asks the client for input, so `tasks/update` has nothing to hand on; `tasks/list` and `tasks/result` are
 * of an older draft, and unknown.
 */

export const TASKS_EXTENSION = "io.modelcontextprotocol/tasks";
/** How often a client does well to ask, ms. */
const POLL_MS = 2_000;
/** "Missing required client capability" in the specification: the client has not said that it knows the extension. */
export const MISSING_TASKS = {
  code: -32021,
  message: `the client has not declared ${TASKS_EXTENSION}`,
  data: { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } },
};

/** A task in the extension's terms. */
interface TaskHandle {
  taskId: string;
  status: "working" | "completed" | "cancelled";
  statusMessage?: string;
  /** ISO 8601. */
  createdAt: string;
  lastUpdatedAt: string;
  /** From its creation on, ms; null while nothing says when it is forgotten. */
  ttlMs: number | null;
  pollIntervalMs: number;
}

/** What the server says in discovery that it can do. */
export const TASKS_CAPABILITY = { extensions: { [TASKS_EXTENSION]: {} } };

/** Whether the client has said so with this very request; legacy clients have no way to. */
export function declaresTasks(context: ServerContext): boolean {
  const envelope = context.mcpReq.envelope as Record<string, unknown> | undefined;
  return hasTasks(envelope?.["io.modelcontextprotocol/clientCapabilities"]);
}

export function hasTasks(capabilities: unknown): boolean {
  const { extensions } = (capabilities ?? {}) as { extensions?: unknown };
  return typeof extensions === "object" && extensions !== null && Object.hasOwn(extensions, TASKS_EXTENSION);
}

/** Whether a call comes to a handle: of `run_task`, unless its caller wants to have the task's id at once, or only to hear what would be done. */
export function isForTask(name: string, args: unknown, context: ServerContext): boolean {
  const { wait, preview } = (args ?? {}) as { wait?: unknown; preview?: unknown };
  return name === runTask.name && wait !== false && preview !== true && declaresTasks(context);
}

/** What `run_task` has answered at once, as the handle of its task; a failure stays what it is. */
export async function toHandle(result: CallToolResult, client: VmClient, signal: AbortSignal): Promise<CallToolResult> {
  const id = (result.structuredContent as { task_id?: unknown } | undefined)?.task_id;
  if (result.isError === true || typeof id !== "string") return result;
  const handle = { resultType: "task", ...handleOf(await client.tasks.get(id, { signal })) };
  // The SDK's types know results of the protocol itself alone; it sends what it is given, and adds an empty `content`.
  return handle as Partial<CallToolResult> as CallToolResult;
}

/** Answers the extension's methods. */
export function addTaskMethods(server: Server, connect: () => Promise<VmClient>): void {
  const params = z.looseObject({ taskId: z.string() });
  const add = (method: string, answer: (id: string, client: VmClient, signal: AbortSignal) => Promise<object>) =>
    server.setRequestHandler(method, { params, result: z.looseObject({}) }, async ({ taskId }, context) => {
      requireDeclared(context);
      try {
        return { ...(await answer(taskId, await connect(), context.mcpReq.signal)) };
      } catch (thrown) {
        const error = toFirebreakError(thrown);
        const isUnknown = error.code === "TASK_NOT_FOUND" || error.class === "invalid_argument";
        throw new ProtocolError(
          isUnknown ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
          error.message,
          error.toBody(),
        );
      }
    });
  add("tasks/get", async (id, client, signal) => detailOf(await client.tasks.get(id, { signal })));
  add("tasks/cancel", async (id, client, signal) => {
    await client.tasks.cancel(id, { signal });
    return {};
  });
  add("tasks/update", async (id, client, signal) => {
    await client.tasks.get(id, { signal });
    return {};
  });
}

/** Throws the protocol's own error for a client that has not said that it knows the extension. */
function requireDeclared(context: ServerContext): void {
  if (context.mcpReq.envelope === undefined)
    throw new ProtocolError(ProtocolErrorCode.MethodNotFound, "Method not found");
  if (declaresTasks(context)) return;
  throw new ProtocolError(MISSING_TASKS.code, MISSING_TASKS.message, MISSING_TASKS.data);
}

function handleOf(task: Task): TaskHandle {
  const { id, state, reason, position, createdAt, startedAt, endedAt, keptUntil } = task;
  const place = position === undefined ? "" : `, number ${position} in the queue`;
  return {
    taskId: id,
    // A task that has failed has a result, which says so; `failed` is for calls that no result has come of.
    status: !isEnded(state) ? "working" : state === "cancelled" ? "cancelled" : "completed",
    statusMessage: `it is ${state}${place}${reason === undefined ? "" : `: ${reason}`}`,
    createdAt,
    lastUpdatedAt: endedAt ?? startedAt ?? createdAt,
    ttlMs: keptUntil === undefined ? null : Math.max(0, Date.parse(keptUntil) - Date.parse(createdAt)),
    pollIntervalMs: POLL_MS,
  };
}

/** What `tasks/get` answers, and news of the task hold. */
export function detailOf(task: Task): TaskHandle & { result?: CallToolResult } {
  const handle = handleOf(task);
  if (handle.status !== "completed") return handle;
  const result = toResult({ structured: toTaskView(task), facts: factsOf(task), text: textOf(task) });
  return { ...handle, result: { resultType: "complete", ...result } };
}
