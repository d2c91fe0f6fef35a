import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError, Server } from "@modelcontextprotocol/server";
import type { ExtrasCaller } from "../mcp/extras.ts";
import { followLogLevel } from "../mcp/log-levels.ts";
import type { SubscriptionHooks } from "../mcp/subscription-hooks.ts";
import { traceServer } from "../mcp/traced-server.ts";
import type { Gateway } from "./service.ts";
import { GatewayView } from "./view.ts";

export interface EndpointServerOptions {
  gateway: Gateway;
  server: string;
  caller: Pick<ExtrasCaller, "principal" | "session">;
  hooks?: SubscriptionHooks | undefined;
}

/** One server's own endpoint, for one connection of either era: what the server offers, under its own names, as the server that it is. */
export function createEndpointServer({ gateway, server: name, caller, hooks }: EndpointServerOptions): Server {
  const { warm } = gateway.managed(name);
  const terms = warm?.terms;
  const has = (capability: string) => terms?.capabilities[capability] !== undefined;
  const server = new Server(terms?.serverInfo ?? { name, version: "?" }, {
    capabilities: {
      ...(has("tools") ? { tools: { listChanged: true } } : {}),
      ...(has("prompts") ? { prompts: { listChanged: true } } : {}),
      ...(has("resources") ? { resources: { listChanged: true, subscribe: canSubscribe(terms?.capabilities) } } : {}),
      ...(has("completions") ? { completions: {} } : {}),
      logging: {},
    },
    ...(terms?.instructions === undefined ? {} : { instructions: terms.instructions }),
  });
  const view = new GatewayView({
    gateway,
    servers: () => [name],
    isPrefixed: false,
    caller: {
      ...caller,
      capabilities: () => server.getClientCapabilities() ?? {},
      info: () => server.getClientVersion(),
      logLevel: followLogLevel(server),
    },
  });
  const missing = (what: string) =>
    new ProtocolError(ProtocolErrorCode.InvalidParams, `the server '${name}' has no ${what}`);
  if (has("tools")) {
    server.setRequestHandler("tools/list", () => ({ tools: view.tools }));
    server.setRequestHandler("tools/call", ({ params }, context) => {
      const result = view.callTool(params.name, params.arguments ?? {}, context);
      if (result === undefined) throw missing(`tool '${params.name}'`);
      return result;
    });
  }
  if (has("prompts")) {
    server.setRequestHandler("prompts/list", () => ({ prompts: view.prompts }));
    server.setRequestHandler("prompts/get", ({ params }, context) => {
      const result = view.getPrompt(params.name, params.arguments ?? {}, context);
      if (result === undefined) throw missing(`prompt '${params.name}'`);
      return result;
    });
  }
  if (has("resources")) {
    server.setRequestHandler("resources/list", () => {
      hooks?.listed();
      return { resources: view.resources };
    });
    server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: view.resourceTemplates }));
    server.setRequestHandler("resources/read", ({ params }, context) => {
      const result = view.readResource(params.uri, context);
      if (result === undefined)
        throw new ResourceNotFoundError(params.uri, `the server '${name}' has no resource '${params.uri}'`);
      return result;
    });
    if (canSubscribe(terms?.capabilities)) {
      server.setRequestHandler("resources/subscribe", ({ params }) => {
        hooks?.subscribe(params.uri);
        return {};
      });
      server.setRequestHandler("resources/unsubscribe", ({ params }) => {
        hooks?.unsubscribe(params.uri);
        return {};
      });
    }
  }
  if (has("completions"))
    server.setRequestHandler("completion/complete", async ({ params }, context) => {
      const result = view.complete(params, context);
      if (result === undefined) throw missing("such prompt or template");
      return (await result) as { completion: { values: string[] } };
    });
  return traceServer(server, { server: name, session: caller.session });
}

function canSubscribe(capabilities: Record<string, unknown> | undefined): boolean {
  return (capabilities?.resources as { subscribe?: unknown } | undefined)?.subscribe === true;
}
