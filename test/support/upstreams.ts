import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import {
  createMcpHandler,
  inputRequired,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceTemplate,
  type ServerContext,
  type Transport,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { LEGACY_RESOURCE_NOT_FOUND, withLegacyErrors } from "../../src/mcp/legacy-errors.ts";

/** An MCP server that runs elsewhere, for what reaches it over HTTP. */
export interface Upstream {
  url: string;
  /** Headers of each request that has come, in their order. */
  seen: http.IncomingHttpHeaders[];
  /** Names of the calls that the client has given up. */
  canceled: string[];
  /** `_meta` of each call of a tool, in their order. */
  metas: Record<string, unknown>[];
  /** Adds a tool, and says so. */
  grow: (name: string) => void;
  /** Says that a resource has changed. */
  touch: (uri: string) => void;
  /** Forgets its clients' sessions, as a server does that is started anew. */
  forget: () => void;
  close: () => Promise<void>;
}

interface World {
  canceled: string[];
  metas: Record<string, unknown>[];
  extra: Set<string>;
  era: "modern" | "legacy";
}

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });
const NAME_FORM = {
  type: "object" as const,
  properties: { name: { type: "string" as const } },
  required: ["name"],
};

function build(world: World): McpServer {
  const server = new McpServer(
    { name: "elsewhere", version: "1.2.3" },
    { capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} } },
  );
  const add = (name: string, work: (args: { text?: string | undefined }, context: ServerContext) => Promise<unknown>) =>
    server.registerTool(
      name,
      { description: name, inputSchema: z.object({ text: z.string().optional() }) },
      (args, context) => {
        world.metas.push(context.mcpReq._meta ?? {});
        return work(args, context) as never;
      },
    );
  add("echo", async (args) => text(args.text ?? ""));
  add("slow", async (_args, { mcpReq }) => {
    await once(mcpReq.signal, "abort");
    world.canceled.push("slow");
    return text("too late");
  });
  add("steps", async (_args, { mcpReq }) => {
    const { progressToken } = mcpReq._meta ?? {};
    for (const progress of [1, 2, 3])
      if (progressToken !== undefined)
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 3 } });
    await mcpReq.log("info", "stepped");
    return text("done");
  });
  add("ask", async (args, { mcpReq }) => {
    const message = `name for ${args.text}?`;
    // The SDK asks this way on the session's stream, and the other way on that of the call.
    if (world.era === "legacy" && !args.text?.startsWith("own")) {
      const { content } = await mcpReq.elicitInput({ message, requestedSchema: NAME_FORM });
      return text(`hello ${content?.name}`);
    }
    const answer = (mcpReq.inputResponses as Record<string, { content?: { name?: unknown } }> | undefined)?.name;
    return answer === undefined
      ? inputRequired({ inputRequests: { name: inputRequired.elicit({ message, requestedSchema: NAME_FORM }) } })
      : text(`hello ${answer.content?.name}`);
  });
  for (const name of world.extra) add(name, async () => text(name));
  server.registerResource("any", new ResourceTemplate("note://any/{name}", { list: undefined }), {}, async () => {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, "the name is none", { name: "wrong" });
  });
  server.registerResource("note", "note://one", {}, async () => ({ contents: [{ uri: "note://one", text: "one" }] }));
  server.server.setRequestHandler("resources/subscribe", () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", () => ({}));
  return server;
}

/** Answers in the place of the server those that it does not let in. */
export type Guard = (request: Request) => Promise<Response | undefined>;

const LETS_ALL_IN: Guard = async () => undefined;

/** A server of the newer revision alone. */
export async function serveModernUpstream(guard: Guard = LETS_ALL_IN): Promise<Upstream> {
  const world: World = { canceled: [], metas: [], extra: new Set(), era: "modern" };
  const handler = createMcpHandler(() => build(world), { legacy: "reject" });
  const { url, seen, close } = await serveFetch(async (request) => (await guard(request)) ?? handler.fetch(request));
  return {
    url,
    seen,
    canceled: world.canceled,
    metas: world.metas,
    grow: (name) => {
      world.extra.add(name);
      handler.notify.toolsChanged();
    },
    touch: (uri) => handler.notify.resourceUpdated(uri),
    forget: () => {},
    close: async () => {
      await handler.close();
      await close();
    },
  };
}

/** A server of the older revisions, with a session for each client. */
export async function serveLegacyUpstream(guard: Guard = LETS_ALL_IN): Promise<Upstream> {
  const world: World = { canceled: [], metas: [], extra: new Set(), era: "legacy" };
  const sessions = new Map<string, { transport: WebStandardStreamableHTTPServerTransport; server: McpServer }>();
  const { url, seen, close } = await serveFetch(async (request) => {
    const refusal = await guard(request);
    if (refusal !== undefined) return refusal;
    const id = request.headers.get("mcp-session-id");
    const existing = id === null ? undefined : sessions.get(id);
    if (existing !== undefined) return existing.transport.handleRequest(request);
    if (id !== null) return new Response("no such session", { status: 404 });
    const server = build(world);
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (session) => void sessions.set(session, { transport, server }),
      onsessionclosed: (session) => void sessions.delete(session),
    });
    await server.connect(withLegacyErrors(withoutData(transport)));
    return transport.handleRequest(request);
  });
  return {
    url,
    seen,
    canceled: world.canceled,
    metas: world.metas,
    grow: (name) => {
      world.extra.add(name);
      for (const { server } of sessions.values())
        server.registerTool(name, { description: name, inputSchema: z.object({}) }, async () => text(name));
    },
    touch: (uri) => {
      for (const { server } of sessions.values()) void server.server.sendResourceUpdated({ uri });
    },
    forget: () => sessions.clear(),
    close: async () => {
      for (const { server } of sessions.values()) await server.close();
      await close();
    },
  };
}

/** Many servers of the older revisions say nothing but the code of a resource that there is not. */
function withoutData<T extends Transport>(transport: T): T {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    if (!("error" in message) || message.error.code !== LEGACY_RESOURCE_NOT_FOUND) return send(message, options);
    const { data: _data, ...error } = message.error;
    return send({ ...message, error }, options);
  };
  return transport;
}

async function serveFetch(fetch: (request: Request) => Promise<Response>) {
  const seen: http.IncomingHttpHeaders[] = [];
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false });
  const served = await serveHttp((incoming, outgoing) => {
    seen.push(incoming.headers);
    void listener(incoming, outgoing);
  });
  return { ...served, seen };
}

/** Any program that answers HTTP, on a port of loopback. */
export async function serveHttp(
  answer: (incoming: http.IncomingMessage, outgoing: http.ServerResponse) => void,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = http.createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
