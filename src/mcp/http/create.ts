import type { Server } from "@modelcontextprotocol/server";
import type { Extras, ExtrasCaller } from "../extras.ts";
import { followLogLevel, type LogLevel } from "../log-levels.ts";
import { ToolRegistry } from "../registry.ts";
import { ResourceWatch } from "../resources/watch.ts";
import { createMcpServer, hasTasks, type McpServerOptions } from "../server.ts";
import { parseToolsets, toolsOf } from "../toolsets.ts";
import { traceServer } from "../traced-server.ts";
import type { VmClient } from "../vm-client.ts";
import { type ListNotifier, McpEndpoint, type ResourceChanges } from "./endpoint.ts";
import type { McpSessionStore } from "./session-store.ts";

/** Selections of toolsets that are kept ready. */
const MAX_REGISTRIES = 16;

export interface CreateEndpointOptions {
  store: McpSessionStore;
  /** The daemon as the caller of a request may use it. */
  connect: (principal: string) => ReturnType<McpServerOptions["connect"]>;
  /** The daemon as it is watched for changes: the same for all callers, who see the same VMs. */
  peek: () => Promise<VmClient>;
  version: string;
  /** Aborts when the endpoint ends: calls that may take long end then. */
  endingSignal: AbortSignal;
  onError?: (error: Error) => void;
  onSessionEnded?: (session: string) => void;
  /** How long a legacy client whose connection broke may take to read on, ms. */
  graceMs?: number;
  maxLoaded?: number;
  /** Makes what is offered besides; it may say when that changes. */
  createExtras?: (notify: ListNotifier) => (caller: ExtrasCaller) => Extras;
  /** Tells of changes of the extras' resources. */
  createExtraChanges?: (listener: ChangeListener) => ResourceChanges;
}

interface ChangeListener {
  onUpdated: (uri: string) => void;
  onListChanged: () => void;
}

/** The MCP endpoint of firebreak's tools. `?toolsets=vm,guest` in its URL asks for others than the default ones. */
export function createEndpoint(options: CreateEndpointOptions): McpEndpoint {
  const { store, connect, peek, version, endingSignal, onError, graceMs, maxLoaded } = options;
  const registries = new Map<string, ToolRegistry>();
  const registryOf = (query: string) => {
    const toolsets = parseToolsets(new URLSearchParams(query).get("toolsets") ?? undefined);
    const key = toolsets.join();
    if (registries.size >= MAX_REGISTRIES) registries.clear();
    const registry = registries.get(key) ?? new ToolRegistry(toolsOf(toolsets));
    registries.set(key, registry);
    return registry;
  };
  let extrasOf: ((caller: ExtrasCaller) => Extras) | undefined;
  const endpoint = new McpEndpoint({
    createServer: ({ principal, query, hooks, session }) => {
      const own: { server?: Server; logLevel?: () => LogLevel | undefined } = {};
      const capabilities = () => own.server?.getClientCapabilities() ?? {};
      const info = () => own.server?.getClientVersion();
      const logLevel = () => own.logLevel?.();
      own.server = createMcpServer({
        registry: registryOf(query),
        connect: () => connect(principal),
        version,
        endingSignal,
        ...(hooks === undefined ? {} : { subscriptions: hooks }),
        ...(extrasOf === undefined ? {} : { extras: extrasOf({ principal, session, capabilities, info, logLevel }) }),
      });
      if (extrasOf !== undefined) own.logLevel = followLogLevel(own.server);
      return traceServer(own.server, { session });
    },
    tasksOf: ({ principal, query }) => (hasTasks(registryOf(query)) ? () => connect(principal) : undefined),
    checkQuery: (query) => void registryOf(query),
    createChanges: (listener) => {
      const own = new ResourceWatch({ client: peek, ...listener });
      const extra = options.createExtraChanges?.(listener);
      return extra === undefined ? own : joinChanges(own, extra);
    },
    store,
    onSessionEnded: options.onSessionEnded,
    ...(onError === undefined ? {} : { onError }),
    ...(graceMs === undefined ? {} : { graceMs }),
    ...(maxLoaded === undefined ? {} : { maxLoaded }),
  });
  extrasOf = options.createExtras?.(endpoint.notify);
  return endpoint;
}

/** Each looks after those of the resources that are its own. */
function joinChanges(one: ResourceChanges, other: ResourceChanges): ResourceChanges {
  const both = (stops: (() => void)[]) => () => {
    for (const stop of stops) stop();
  };
  return {
    watch: (uris, watcher) => both([one.watch(uris, watcher), other.watch(uris, watcher)]),
    watchList: () => both([one.watchList(), other.watchList()]),
  };
}
