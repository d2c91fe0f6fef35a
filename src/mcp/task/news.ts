import type { JSONRPCNotification, RequestId } from "@modelcontextprotocol/server";
import type { VmClient } from "../vm-client.ts";
import { detailOf, hasTasks, MISSING_TASKS } from "./extension.ts";

/** News of tasks for clients that listen: `notifications/tasks` of MCP's extension for tasks. The SDK knows nothing of them. */

/** One client's stream tells of so many tasks at most. */
const MAX_TASKS = 64;
/** How often tasks are looked at while somebody listens, ms. */
const LOOK_MS = 500;
export const SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId";
const PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";

/** A modern client's request to hear of tasks; undefined for any other message. */
export interface TaskListen {
  id: RequestId;
  taskIds: string[];
  /** Why it is refused: the client has not said that it knows the extension. */
  failure?: typeof MISSING_TASKS;
}

export function readTaskListen(message: unknown): TaskListen | undefined {
  const { id, method, params } = (message ?? {}) as {
    id?: RequestId;
    method?: unknown;
    params?: { notifications?: { taskIds?: unknown } | null; _meta?: Record<string, unknown> };
  };
  const wanted = params?.notifications?.taskIds;
  const isModern = typeof params?._meta?.[PROTOCOL_VERSION] === "string";
  if (!isModern || method !== "subscriptions/listen" || wanted === undefined || id === undefined) return undefined;
  const texts = Array.isArray(wanted) ? wanted.filter((each): each is string => typeof each === "string") : [];
  const taskIds = [...new Set(texts)].slice(0, MAX_TASKS);
  return hasTasks(params?._meta?.[CLIENT_CAPABILITIES]) ? { id, taskIds } : { id, taskIds, failure: MISSING_TASKS };
}

/** Those of the tasks that there are: all that a client can be told of. */
export async function findTasks(ids: readonly string[], client: () => Promise<VmClient>): Promise<string[]> {
  try {
    const { tasks } = await client();
    const found = await Promise.all(
      ids.map((id) =>
        tasks.get(id).then(
          () => [id],
          () => [],
        ),
      ),
    );
    return found.flat();
  } catch {
    // No daemon has no tasks; one that is there later is asked by a client that listens again.
    return [];
  }
}

/** The acknowledgement with what the SDK leaves out of it. */
export function acknowledgeTasks<Message>(message: Message, taskIds: readonly string[]): Message {
  const { params } = message as { params?: { notifications?: object } };
  return { ...message, params: { ...params, notifications: { ...params?.notifications, taskIds } } };
}

export interface TaskNewsOptions {
  listen: TaskListen;
  /** Reaches the daemon, and starts none. */
  client: () => Promise<VmClient>;
  tell: (note: JSONRPCNotification) => void;
  lookMs?: number;
}

/** Tells of the tasks as they are now, so that nothing is missed that happened before, and of each change, until all have ended or it is called off. */
export function watchTasks({ listen, client, tell, lookMs = LOOK_MS }: TaskNewsOptions): () => void {
  /** What was told last of those that have not ended. */
  const told = new Map(listen.taskIds.map((id) => [id, ""]));
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const look = async () => {
    for (const [id, last] of told) {
      const found = await client()
        .then(({ tasks }) => tasks.get(id))
        .catch((error: { code?: unknown }) => (error.code === "TASK_NOT_FOUND" ? undefined : null));
      if (isOver) return;
      // A daemon that is away has no news; a task that has been deleted has none any more.
      if (found === null) continue;
      const detail = found === undefined ? undefined : detailOf(found);
      if (detail === undefined || detail.status !== "working") told.delete(id);
      else told.set(id, JSON.stringify(detail));
      if (detail !== undefined && JSON.stringify(detail) !== last)
        tell({
          jsonrpc: "2.0",
          method: "notifications/tasks",
          params: { ...detail, _meta: { [SUBSCRIPTION_ID]: listen.id } },
        });
    }
    if (told.size > 0) timer = setTimeout(() => void look(), lookMs).unref();
  };
  void look();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
