import { ProtocolError, ProtocolErrorCode, Server, type ServerContext } from "@modelcontextprotocol/server";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Extras } from "./extras.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import { createProgressReporter } from "./progress.ts";
import { getPrompt, PROMPTS } from "./prompts/prompts.ts";
import type { CallOptions, ToolRegistry } from "./registry.ts";
import { toReport } from "./report-call.ts";
import { completeArgument } from "./resources/complete.ts";
import { listResources, RESOURCE_TEMPLATES } from "./resources/list.ts";
import { readResource } from "./resources/read.ts";
import { isWatchable } from "./resources/watch.ts";
import type { SubscriptionHooks } from "./subscription-hooks.ts";
import { addTaskMethods, isForTask, TASKS_CAPABILITY, toHandle } from "./task/extension.ts";
import { runTask } from "./task/run-task.ts";

export interface McpServerOptions {
  registry: ToolRegistry;
  /** Reaches the daemon, at the first call and not before. */
  connect: CallOptions["connect"];
  version: string;
  /** Aborts when the client goes away: ends calls that may take long, the others may finish. */
  endingSignal: AbortSignal;
  /** Absent where changes are asked for in another way: modern clients listen. */
  subscriptions?: SubscriptionHooks;
  extras?: Extras;
  /** Gets what tells the audit log of a call, for whoever is about to end; it never fails. */
  onReport?: (report: Promise<void>) => void;
}

/** Whether there are tasks among the tools, and with that MCP's extension for them. */
export const hasTasks = (registry: ToolRegistry): boolean => registry.get(runTask.name) !== undefined;

/** An MCP server of firebreak's tools, for either protocol era and any transport. One serves one connection. */
export function createMcpServer(options: McpServerOptions): Server {
  const { registry, connect, version, endingSignal, extras, onReport } = options;
  const isWithTasks = hasTasks(registry);
  const server = new Server(
    { name: "firebreak", title: "firebreak VMs", version },
    {
      capabilities: {
        tools: {},
        resources: { subscribe: true, listChanged: true },
        prompts: {},
        completions: {},
        ...(isWithTasks ? TASKS_CAPABILITY : {}),
        ...extras?.capabilities,
      },
      ...extras?.options,
      instructions: INSTRUCTIONS,
    },
  );
  server.setRequestHandler("tools/list", () => ({ tools: [...registry.list(), ...(extras?.tools ?? [])] }));
  server.setRequestHandler("tools/call", async (request, context) => {
    const { name, arguments: args } = request.params;
    const extra = extras?.callTool(name, args ?? {}, context);
    if (extra !== undefined) return extra;
    const tool = registry.get(name);
    if (tool === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, registry.explainMissing(name));
    const own = context.mcpReq.signal;
    const signal = tool.isLong ? AbortSignal.any([own, endingSignal]) : own;
    const client = clientOf(context) ?? server.getClientVersion();
    const isTask = isForTask(name, args, context);
    const result = await registry.call(tool, isTask ? { ...args, wait: false } : args, {
      connect,
      signal,
      onProgress: progressOf(context),
      // Nobody waits for it: the call has been made, whether or not it is told of.
      onEnd: (daemon, result, durationMs) => {
        const report = daemon.audit.report(toReport({ tool: name, args, result, durationMs, client })).catch(() => {});
        onReport?.(report);
      },
    });
    return isTask ? toHandle(result, await reach(connect), own) : result;
  });
  if (isWithTasks) addTaskMethods(server, () => reach(connect));
  addResources(server, options);
  server.setRequestHandler("prompts/list", () => ({ prompts: [...PROMPTS, ...(extras?.prompts ?? [])] }));
  server.setRequestHandler(
    "prompts/get",
    ({ params }, context) =>
      extras?.getPrompt(params.name, params.arguments ?? {}, context) ?? getPrompt(params.name, params.arguments),
  );
  server.setRequestHandler("completion/complete", async ({ params }, context) => {
    const extra = extras?.complete?.(params, context);
    if (extra !== undefined) return (await extra) as { completion: { values: string[] } };
    return { completion: await completeArgument(params.argument, await reach(connect), context.mcpReq.signal) };
  });
  return server;
}

function addResources(server: Server, { connect, subscriptions, extras }: McpServerOptions): void {
  server.setRequestHandler("resources/list", async ({ params }, context) => {
    subscriptions?.listed();
    const page = await listResources(await reach(connect), params?.cursor, context.mcpReq.signal);
    return params?.cursor === undefined && extras !== undefined
      ? { ...page, resources: [...extras.resources, ...page.resources] }
      : page;
  });
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: [...RESOURCE_TEMPLATES, ...(extras?.resourceTemplates ?? [])],
  }));
  server.setRequestHandler(
    "resources/read",
    async ({ params }, context) =>
      extras?.readResource(params.uri, context) ??
      readResource(params.uri, { client: await reach(connect), signal: context.mcpReq.signal }),
  );
  server.setRequestHandler("resources/subscribe", ({ params }) => {
    if (!isWatchable(params.uri) && extras?.isWatchable(params.uri) !== true) {
      const message = `${params.uri} is no resource of firebreak's: there is nothing to tell of`;
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, message);
    }
    subscriptions?.subscribe(params.uri);
    return {};
  });
  server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    subscriptions?.unsubscribe(params.uri);
    return {};
  });
}

/** Whom a modern client's request says that it comes from; a legacy one said it at its start. */
function clientOf(context: ServerContext) {
  const envelope = context.mcpReq.envelope as Record<string, unknown> | undefined;
  const info = envelope?.["io.modelcontextprotocol/clientInfo"];
  return typeof info === "object" && info !== null ? (info as { name?: string; version?: string }) : undefined;
}

/** The daemon, for what has no other way to say that there is none than a protocol error. */
async function reach(connect: CallOptions["connect"]): ReturnType<CallOptions["connect"]> {
  try {
    return await connect();
  } catch (thrown) {
    const error = toFirebreakError(thrown);
    throw new ProtocolError(ProtocolErrorCode.InternalError, error.message, error.toBody());
  }
}

function progressOf(context: ServerContext): CallOptions["onProgress"] {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return () => {};
  return createProgressReporter((note) => {
    // A caller that is gone needs no news.
    context.mcpReq.notify({ method: "notifications/progress", params: { progressToken, ...note } }).catch(() => {});
  });
}
