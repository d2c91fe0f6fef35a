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
/** "Missing required client capability" in the specification. */
const MISSING_CAPABILITY = -32021;

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

function hasTasks(capabilities: unknown): boolean {
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
  if (!declaresTasks(context)) throw missingCapability();
}

function missingCapability(): ProtocolError {
  return new ProtocolError(MISSING_CAPABILITY, `the client has not declared ${TASKS_EXTENSION}`, {
    requiredCapabilities: TASKS_CAPABILITY,
  });
}

/** A listener's request for news of tasks, of which there are none, is refused where the client does not know them: the error; undefined for any other message. */
export function refuseTaskIds(message: unknown): { code: number; message: string; data?: unknown } | undefined {
  const { method, params } = (message ?? {}) as {
    method?: unknown;
    params?: { notifications?: { taskIds?: unknown }; _meta?: Record<string, unknown> };
  };
  if (method !== "subscriptions/listen" || params?.notifications?.taskIds === undefined) return undefined;
  if (hasTasks(params._meta?.["io.modelcontextprotocol/clientCapabilities"])) return undefined;
  const { code, message: text, data } = missingCapability();
  return { code, message: text, data };
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

function detailOf(task: Task): TaskHandle & { result?: CallToolResult } {
  const handle = handleOf(task);
  if (handle.status !== "completed") return handle;
  const result = toResult({ structured: toTaskView(task), facts: factsOf(task), text: textOf(task) });
  return { ...handle, result: { resultType: "complete", ...result } };
}
